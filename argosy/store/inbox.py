"""Writes to the inbox from outside a worker: rows addressed to turns.

Each request is written once: a repetition finds the row of the first. Payloads are sealed here, and opened
(argosy/seal). Raises: StoreUnavailableError (the row may have been written: repeat with the same request id)
"""

import uuid
from typing import NamedTuple

from argosy.seal.envelope import is_sealed
from argosy.seal.places import signal_of
from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.store.turn import TurnHead
from argosy.turn.inbox import RowKind

_SQL = load_queries("inbox")


class InboxRequest(NamedTuple):
    """What a client sends to a turn. session_id: None before the turn is accepted."""

    turn_id: uuid.UUID
    session_id: uuid.UUID | None
    bucket: int
    kind: RowKind  # SIGNAL, CANCEL or RESUME
    name: str
    request_id: str
    payload: bytes | None


class InboxWritten(NamedTuple):
    """The row that a request wrote. payload: None also when it does not open."""

    inbox_id: uuid.UUID
    payload: bytes | None


class UnreadBounds(NamedTuple):
    """Bounds for the signals of one turn that it has not taken."""

    rows_max: int
    size_bytes_max: int


class EarlyBounds(NamedTuple):
    """Bounds for what a tenant sent to turns that are not accepted."""

    rows_max: int
    size_bytes_max: int


class EarlySent(NamedTuple):
    """What came of a request to a turn that is not accepted yet.

    written: the row of this request, or of an earlier one with its key. is_full: the turn had no room for it.
    is_tenant_full: its tenant had none.
    """

    written: InboxWritten
    is_full: bool
    is_tenant_full: bool


class SignalSent(NamedTuple):
    """The turn that a signal was sent to. is_full: the turn had no room for it, and it was not written."""

    head: TurnHead
    is_full: bool


async def insert_inbox(
    pool: Pool, request: InboxRequest, inbox_id: uuid.UUID, tenant: str, lane: str, rows_max: int
) -> bool:
    """Write a row and return True.

    False when the request has a row already, or when the turn has rows_max rows of this kind that it has not taken
    (give or take rows that are being written at this moment).
    """
    row = await pool.fetchrow(
        _SQL["insert_inbox"],
        inbox_id,
        lane,
        request.bucket,
        tenant,
        request.session_id,
        request.turn_id,
        request.kind,
        request.name,
        request.request_id,
        await _sealed(pool, request, inbox_id, tenant),
        rows_max,
    )
    return row is not None


async def send_early(
    pool: Pool,
    request: InboxRequest,
    inbox_id: uuid.UUID,
    tenant: str,
    lane: str,
    partition: int,
    unread: UnreadBounds,
    early: EarlyBounds,
) -> EarlySent | None:
    """Write a request to a turn that is not accepted yet, and return what came of it.

    None when the turn is accepted now: then nothing was written.
    """
    row = await pool.fetchrow(
        _SQL["send_early"],
        partition,
        inbox_id,
        lane,
        request.bucket,
        tenant,
        request.turn_id,
        request.kind,
        request.name,
        request.request_id,
        await _sealed(pool, request, inbox_id, tenant),
        *unread,
        *early,
    )
    if row is None:
        return None
    return EarlySent(await _written(pool, request, tenant, row[0], row[1]), is_full=row[2], is_tenant_full=row[3])


async def send_signal(
    pool: Pool, request: InboxRequest, inbox_id: uuid.UUID, tenant: str, lane: str, unread: UnreadBounds
) -> SignalSent | None:
    """Write a signal to a turn that is accepted, is no duplicate, has not ended, and has no row of this request yet.

    None when the turn is not so: then nothing was written.
    """
    row = await pool.fetchrow(
        _SQL["send_signal"],
        request.turn_id,
        tenant,
        lane,
        inbox_id,
        request.name,
        request.request_id,
        await _sealed(pool, request, inbox_id, tenant),
        *unread,
    )
    if row is None:
        return None
    session_id, status, attempt, seq, is_full = row
    return SignalSent(TurnHead(request.turn_id, session_id, status, attempt, seq, duplicate_of=None), is_full)


async def find_inbox_request(pool: Pool, request: InboxRequest, tenant: str, lane: str) -> InboxWritten | None:
    """Return the row of an earlier request with the same turn, kind, name and request id, or None."""
    row = await pool.fetchrow(
        _SQL["find_inbox_request"], request.turn_id, request.kind, request.name, request.request_id, tenant, lane
    )
    return None if row is None else await _written(pool, request, tenant, *row)


async def _sealed(pool: Pool, request: InboxRequest, inbox_id: uuid.UUID, tenant: str) -> bytes | None:
    return await pool.seals.sealed(tenant, request.payload, signal_of(tenant, inbox_id, request.name))


async def _written(
    pool: Pool, request: InboxRequest, tenant: str, inbox_id: uuid.UUID, payload: bytes | None
) -> InboxWritten:
    if payload is not None and is_sealed(payload):
        opener = await pool.seals.opener([(tenant, payload)])
        payload = opener.open_or(tenant, payload, signal_of(tenant, inbox_id, request.name), b"") or None
    return InboxWritten(inbox_id, payload)


class ResumedTurns(NamedTuple):
    """What came of resuming parked turns.

    resumed: how many got a resume row. buckets: the buckets of those. has_more: further turns match.
    """

    resumed: int
    buckets: list[int]
    has_more: bool


async def resume_parked(
    pool: Pool, tenant: str, lane: str, *, reason: str | None, workflow: str | None, key: str | None, limit: int
) -> ResumedTurns:
    """Write a resume row for at most `limit` parked turns that match and have none on its way.

    key: with the same key each turn is resumed only once; None: once for each time that it was parked.
    """
    return ResumedTurns(*await pool.fetchrow(_SQL["resume_parked"], tenant, lane, reason, workflow, key, limit))
