"""The inbox, as it is written from outside a worker: rows addressed to turns.

Once: a repeated request finds the row of the first.
Raises: StoreUnavailableError (the row may have been written: repeat with the same request id)
"""

import uuid
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.store.turn import TurnHead

_SQL = load_queries("inbox")


class InboxRequest(NamedTuple):
    """What somebody sends to a turn. kind: signal, cancel or resume; session_id None while it is not here."""

    turn_id: uuid.UUID
    session_id: uuid.UUID | None
    bucket: int
    kind: str
    name: str
    request_id: str
    payload: bytes | None


class InboxWritten(NamedTuple):
    inbox_id: uuid.UUID
    payload: bytes | None


class UnreadBounds(NamedTuple):
    """Of the signals of one turn that it has not taken."""

    rows_max: int
    size_bytes_max: int


class EarlySent(NamedTuple):
    """written: the row of this request, or of an earlier one with its key; is_full: there is no room for it."""

    written: InboxWritten
    is_full: bool


class SignalSent(NamedTuple):
    """is_full: the turn has no room for it, and it was not written."""

    head: TurnHead
    is_full: bool


async def insert_inbox(
    pool: Pool, request: InboxRequest, inbox_id: uuid.UUID, tenant: str, lane: str, rows_max: int
) -> bool:
    """True when the row was written, False when the request has one already, or the turn has rows_max of its kind that
    it has not taken (give or take those that are written at this moment).
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
        request.payload,
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
) -> EarlySent | None:
    """What came of a request to a turn that is not here. None: it is here now."""
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
        request.payload,
        *unread,
    )
    return None if row is None else EarlySent(InboxWritten(row[0], row[1]), is_full=row[2])


async def send_signal(
    pool: Pool, request: InboxRequest, inbox_id: uuid.UUID, tenant: str, lane: str, unread: UnreadBounds
) -> SignalSent | None:
    """What came of it, when the turn is accepted, no duplicate, not ended, and has no row of this request. None: it is
    not so, and nothing was done.
    """
    row = await pool.fetchrow(
        _SQL["send_signal"],
        request.turn_id,
        tenant,
        lane,
        inbox_id,
        request.name,
        request.request_id,
        request.payload,
        *unread,
    )
    if row is None:
        return None
    session_id, status, attempt, seq, is_full = row
    return SignalSent(TurnHead(request.turn_id, session_id, status, attempt, seq, duplicate_of=None), is_full)


async def find_inbox_request(pool: Pool, request: InboxRequest, tenant: str, lane: str) -> InboxWritten | None:
    """The row of an earlier request with the same turn, kind, name and id."""
    row = await pool.fetchrow(
        _SQL["find_inbox_request"], request.turn_id, request.kind, request.name, request.request_id, tenant, lane
    )
    return None if row is None else InboxWritten(*row)


class ResumedTurns(NamedTuple):
    """resumed: how many were given a resume; buckets: theirs; has_more: others match."""

    resumed: int
    buckets: list[int]
    has_more: bool


async def resume_parked(
    pool: Pool, tenant: str, lane: str, *, reason: str | None, workflow: str | None, key: str | None, limit: int
) -> ResumedTurns:
    """A resume for each of at most limit parked turns that match and have none on its way; under a key once each."""
    return ResumedTurns(*await pool.fetchrow(_SQL["resume_parked"], tenant, lane, reason, workflow, key, limit))
