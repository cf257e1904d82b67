"""The fleet as an operator sees it: workers, partitions, and what waits in them. Nothing here belongs to one tenant.

Promise: no read costs more for a longer backlog; where there is more than was looked at, the answer says so.
Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("fleet")


class WorkerSeen(NamedTuple):
    """One worker.

    heard_s: seconds since its last heartbeat, or since it began. holds_lock: whether the lock of its number is held,
    which Postgres frees when the process is gone. ready_sessions, lag, in_flight, is_draining: as of its last
    heartbeat. owned: sorted. server_up_s: for how long Postgres has been running.
    """

    worker_id: uuid.UUID
    kind: str
    lane: str
    build: str
    host: str
    pid: int
    address: str
    slots: int
    started_at: datetime
    in_flight: int
    is_draining: bool
    ready_sessions: int
    lag: int
    heard_s: float
    holds_lock: bool
    owned: list[int]
    server_up_s: float


class WorkersCounted(NamedTuple):
    """The workers of a lane with the same signs of life (holds_lock, is_heard), added up."""

    lane: str
    holds_lock: bool
    is_heard: bool
    workers: int
    slots: int
    in_flight: int
    lag: int
    owned: int
    server_up_s: float


class PartitionsCounted(NamedTuple):
    """The partitions of one lane. orphaned: those whose owner is not in the list of workers any more."""

    lane: str
    claimed_ever: int
    owned: int
    orphaned: int


class PartitionSeen(NamedTuple):
    """One partition; None in what was never claimed or never read. position: of the next record to be accepted."""

    partition: int
    owner: uuid.UUID | None
    address: str | None
    epoch: int | None
    claimed_at: datetime | None
    log_id: str | None
    position: int | None
    accepted_through: datetime | None


class PartitionMeasure(NamedTuple):
    """The turns of a partition that have not ended. Ages are in seconds, None when there is no such turn.

    oldest_turn_s: of the turns that run or could run. oldest_waiting_s: of those that are suspended or parked.
    is_bounded: there are more than were looked at, so every number may be larger.
    """

    partition: int
    oldest_turn_s: float | None
    oldest_waiting_s: float | None
    open_turns: int
    is_bounded: bool


async def list_workers(pool: Pool, lane: str | None, *, after: tuple[str, uuid.UUID], limit: int) -> list[WorkerSeen]:
    """Return at most `limit` workers after `after`, in the order of (lane, id). lane: None for all."""
    return [WorkerSeen(*row) for row in await pool.fetch(_SQL["list_workers"], lane, *after, limit)]


async def count_workers(pool: Pool, lane: str | None, *, heard_within_s: float) -> list[WorkersCounted]:
    """Count workers by lane and signs of life, in no order. lane: None for all.

    heard_within_s: a worker is heard when its last heartbeat is not older.
    """
    return [WorkersCounted(*row) for row in await pool.fetch(_SQL["count_workers"], lane, heard_within_s)]


async def count_partitions(pool: Pool, lane: str | None) -> list[PartitionsCounted]:
    """Count partitions by lane, in no order. lane: None for all."""
    return [PartitionsCounted(*row) for row in await pool.fetch(_SQL["count_partitions"], lane)]


async def list_partitions(
    pool: Pool, lane: str, *, first: int, limit: int, partition_count: int | None
) -> list[PartitionSeen]:
    """Return at most `limit` partitions from `first` on, in order.

    partition_count: of the lane; None: only partitions that were ever claimed.
    """
    rows = await pool.fetch(_SQL["list_partitions"], lane, first, limit, partition_count)
    return [PartitionSeen(*row) for row in rows]


async def measure_partitions(
    pool: Pool, lane: str, buckets: Mapping[int, tuple[int, int]], *, sessions_max: int, turns_max: int
) -> list[PartitionMeasure]:
    """Measure partitions. buckets: the first and last bucket of each.

    sessions_max, turns_max: how many are looked at in each partition at most.
    """
    firsts = [first for first, _ in buckets.values()]
    lasts = [last for _, last in buckets.values()]
    rows = await pool.fetch(_SQL["measure_partitions"], lane, list(buckets), firsts, lasts, sessions_max, turns_max)
    return [PartitionMeasure(*row) for row in rows]
