"""Turns and their events, as they are read from outside a worker. Every read is of one tenant and lane.

Units: times are aware datetimes (UTC), the database's.
Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("turn")


class EventRow(NamedTuple):
    """One durable event. data: JSON bytes. sealed_size_bytes: of the data that is stored, when that is sealed."""

    seq: int
    attempt: int
    type: str
    key: str
    at: datetime
    data: bytes
    lineage: int
    sealed_size_bytes: int = 0


class TurnShown(NamedTuple):
    """A turn's row, and the first events of its steps.

    tags, created_by (who posted it), input, result, error, waits and cancelling are JSON bytes. cancelling: the data of
    turn.cancelling while the turn's code cleans up, else None.
    """

    turn_id: uuid.UUID
    session_id: uuid.UUID
    session: str
    bucket: int
    place: int | None
    workflow: str
    version: str | None
    status: str
    attempt: int
    crashes: int
    seq: int
    priority: int
    on_busy: str
    not_before: datetime | None
    deadline_s: float | None
    duplicate_of: uuid.UUID | None
    reason: str | None
    started_at: datetime | None
    ended_at: datetime | None
    tags: bytes | None
    created_by: bytes | None
    input: bytes | None
    result: bytes | None
    error: bytes | None
    waits: bytes | None
    cancelling: bytes | None
    signals_unread: int
    signals_late: int
    step_events: list[EventRow]
    has_more_steps: bool


class TurnHead(NamedTuple):
    """What a gateway must know about a turn to address a row to it."""

    turn_id: uuid.UUID
    session_id: uuid.UUID
    status: str
    attempt: int
    seq: int
    duplicate_of: uuid.UUID | None


class TurnListed(NamedTuple):
    """A turn in a list."""

    turn_id: uuid.UUID
    session_id: uuid.UUID
    place: int | None
    workflow: str
    version: str | None
    status: str
    attempt: int
    priority: int
    duplicate_of: uuid.UUID | None
    reason: str | None
    accepted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    tags: bytes | None
    created_by: bytes | None


class EndedTurn(NamedTuple):
    """A turn that has ended or is parked; a parked one may be resumed."""

    turn_id: uuid.UUID
    duplicate_of: uuid.UUID | None
    is_parked: bool


class PlacedEvent(NamedTuple):
    """An event in the stream of its session."""

    turn_id: uuid.UUID
    place: int
    lineage: int
    seq: int


class TurnFacts(NamedTuple):
    """The facts that decide whether a turn runs.

    parked: data of its last turn.parked event. undelivered: the kinds of its due inbox rows but timers. runner:
    WORKER/EPOCH, a former owner at which a step may still run, until runner_until at most. lent_to: the worker that
    runs it for its owner. able: living workers that have its workflow, at most ten. lacking_since: when one of those
    was last heard of, or when the turn began to want one, whichever is later. trial: see argosy.turn.trial.Trial.
    signals: ("unread" or "late", name, how many). threads_abandoned: where it waits for a thread, else None.
    cancelling: data of turn.cancelling in its cleanup. retrying: (key, data) of its last 20 step.retrying.
    """

    at: datetime
    status: str
    place: int | None
    attempt: int
    crashes: int
    reason: str | None
    not_before: datetime | None
    waits: bytes | None
    workflow: str
    parked: bytes | None
    head_turn_id: uuid.UUID | None
    head_status: str | None
    turns_ahead: int
    workers_alive: int
    owner: uuid.UUID | None
    is_owner_alive: bool
    next_timer_at: datetime | None
    undelivered: list[str] | None
    is_workflow_known: bool
    runner: str | None
    runner_until: datetime | None
    trial: bytes | None
    version: str | None
    lent_to: uuid.UUID | None
    is_borrower_alive: bool
    is_owner_able: bool
    able: list[uuid.UUID]
    lacking_since: datetime
    signals: list[tuple[str, str, int]]
    threads_abandoned: int | None = None
    cancelling: bytes | None = None
    retrying: Sequence[tuple[str, bytes]] = ()
    parked_seq: int | None = None
    retrying_seqs: Sequence[int] = ()


class PartitionFacts(NamedTuple):
    """The facts that decide when a turn arrives that has no row yet.

    accepted_through: None before any read. started_at: when another turn started it; None: it is in the log.
    """

    at: datetime
    accepted_through: datetime | None
    workers_alive: int
    is_owner_alive: bool
    replaced_at: datetime | None
    replaced: str | None
    started_at: datetime | None = None


class KeyedTurn(NamedTuple):
    """The turn of an idempotency key. asked: index (0-based) into the keys that were asked for."""

    asked: int
    turn_id: uuid.UUID
    digest: bytes | None


async def get_turn(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, *, steps_max: int, size_bytes_max: int
) -> TurnShown | None:
    """Return the turn, with at most steps_max events of its steps (size_bytes_max but for the last one); or None."""
    row = await pool.fetchrow(_SQL["get_turn"], turn_id, tenant, lane, steps_max, size_bytes_max)
    return None if row is None else TurnShown._make((*row[:-2], [EventRow(*each) for each in row[-2] or ()], row[-1]))


async def find_turn(pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str) -> TurnHead | None:
    """Return what must be known to address a row to the turn, or None."""
    row = await pool.fetchrow(_SQL["find_turn"], turn_id, tenant, lane)
    return None if row is None else TurnHead(*row)


async def find_ended_turns(
    pool: Pool, turn_ids: Sequence[uuid.UUID], tenants: Sequence[str], lane: str
) -> list[EndedTurn]:
    """Return those of the turns that have ended or are parked."""
    rows = await pool.fetch(_SQL["find_ended_turns"], turn_ids, tenants, lane)
    return [EndedTurn(*row) for row in rows]


async def find_moved_turns(pool: Pool, turns: Sequence[tuple[uuid.UUID, int]]) -> list[int]:
    """Return the indexes of those (turn_id, seq) whose turn has another seq now, or is gone."""
    rows = await pool.fetch(_SQL["find_moved_turns"], [each[0] for each in turns], [each[1] for each in turns])
    return [row[0] - 1 for row in rows]


async def find_turns_by_key(
    pool: Pool, session_ids: Sequence[uuid.UUID], keys: Sequence[str], tenant: str, lane: str
) -> list[KeyedTurn]:
    """Return the turns of those (session, idempotency key) that have one."""
    rows = await pool.fetch(_SQL["find_turns_by_key"], session_ids, keys, tenant, lane)
    return [KeyedTurn(row[0] - 1, row[1], row[2]) for row in rows]


async def is_turn_expected(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, partition: int, minted_at: datetime, append_timeout_s: float
) -> bool:
    """Whether a turn that has no row may still come: from the log, or because another turn started it.

    False also when the turn has a row. It is certain only for what Postgres read before, so a caller that acts on
    False looks for the row once more afterwards.
    """
    row = await pool.fetchrow(_SQL["is_turn_expected"], lane, partition, minted_at, append_timeout_s, turn_id, tenant)
    return row is not None and bool(row[0])


async def find_common_event(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, *, seq: int, lineage: int
) -> tuple[int, int] | None:
    """Return (lineage, seq) of the last event up to `seq` under this lineage or an earlier one, or None."""
    row = await pool.fetchrow(_SQL["find_common_event"], turn_id, tenant, lane, seq, lineage)
    return None if row is None else (row[0], row[1])


async def find_common_session_event(
    pool: Pool, session_id: uuid.UUID, tenant: str, lane: str, *, place: int, seq: int, lineage: int, turns_max: int
) -> PlacedEvent | None:
    """Return the last such event of a session up to (place, seq), or None.

    Looks only at the last turns_max turns up to there.
    """
    row = await pool.fetchrow(
        _SQL["find_common_session_event"], session_id, tenant, lane, place, seq, lineage, turns_max
    )
    return None if row is None else PlacedEvent(*row)


async def find_placed_turn(
    pool: Pool, session_id: uuid.UUID, tenant: str, lane: str, *, place: int
) -> tuple[uuid.UUID, int] | None:
    """Return the first turn of a session at this place or a later one, and its place; None when there is none."""
    row = await pool.fetchrow(_SQL["find_placed_turn"], session_id, tenant, lane, place)
    return None if row is None else (row[0], row[1])


async def find_present_place(pool: Pool, session_id: uuid.UUID, tenant: str, lane: str) -> int:
    """Return the place of the last turn of a session before the first that has not ended; 0 when there is none."""
    return int(await pool.fetchval(_SQL["find_present_place"], session_id, tenant, lane))


async def list_session_turns(
    pool: Pool,
    session_id: uuid.UUID,
    tenant: str,
    lane: str,
    *,
    status: str | None,
    tag: str | None,
    before: tuple[datetime, uuid.UUID],
    limit: int,
) -> list[TurnListed]:
    """Return at most `limit` turns of a session before `before`, the newest first. status, tag: None for all."""
    rows = await pool.fetch(_SQL["list_session_turns"], session_id, tenant, lane, status, tag, *before, limit)
    return [TurnListed(*row) for row in rows]


async def explain_turn(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, *, heartbeat_ttl_s: float, handover_s: float, partition: int
) -> TurnFacts | None:
    """Return the facts that decide whether the turn runs, from one snapshot; None when it has no row."""
    row = await pool.fetchrow(_SQL["explain_turn"], turn_id, tenant, lane, heartbeat_ttl_s, partition, handover_s)
    return None if row is None else TurnFacts(*row)


async def explain_arrival(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, *, partition: int, heartbeat_ttl_s: float
) -> PartitionFacts:
    """Return the facts that decide when a turn of this partition arrives that has no row yet."""
    row = await pool.fetchrow(_SQL["explain_arrival"], lane, partition, heartbeat_ttl_s, turn_id, tenant)
    return PartitionFacts(*row)
