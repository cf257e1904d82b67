"""Jobs of ingest: what clients and gateways read of them and write. Every job is looked up with its tenant.

Each write may be sent again, by whoever sends it. What workers find out is in ingest_notes.py.
Raises: StoreUnavailableError
"""

import builtins
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from argosy.errors import GraphNotFoundError
from argosy.ingest.job import JobEventType, JobKind, JobState, WaitsFor
from argosy.seal.codec import Codec
from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("ingest")


class NewJob(NamedTuple):
    """A job whose upload begins, or goes on. bucket: of the graph."""

    job_id: uuid.UUID
    tenant: str
    graph: str
    incarnation: uuid.UUID
    kind: JobKind
    bucket: int
    key: str


class JobRow(NamedTuple):
    """What is known of a job.

    received_: what the log of this log_id has acknowledged, without a hole. end_: of the whole upload, None before it
    is whole. next_, applied, rejected: what the graph's file had when it was last asked. seq: of its last event.
    """

    job_id: uuid.UUID
    tenant: str
    graph: str
    incarnation: uuid.UUID
    kind: JobKind
    bucket: int
    idempotency_key: str | None
    state: JobState
    code: str
    reason: str
    log_id: str
    received_line: int
    received_chain: bytes
    received_bytes: int
    received_at: datetime
    end_line: int | None
    end_chain: bytes | None
    next_line: int
    next_chain: bytes
    applied: int
    rejected: int
    rejects_kept: int
    rate_lines_s: float
    waits_for: WaitsFor
    seq: int
    made_at: datetime
    ended_at: datetime | None

    @property
    def made_at_ms(self) -> int:
        """When the job was made, in Unix milliseconds, as its records say it."""
        return int(self.made_at.timestamp() * 1000)


class RejectRow(NamedTuple):
    """A refused line. partition, line: of a topic its partition and offset; of an upload 0 and the line's number."""

    partition: int
    line: int
    code: str
    reason: str
    start: bytes


class JobEventRow(NamedTuple):
    """An event of a job. data: JSON."""

    seq: int
    lineage: int
    type: JobEventType
    data: bytes
    at: datetime


class JobPlace(NamedTuple):
    """A place in the order in which a graph's jobs were made."""

    made_at: datetime
    job_id: uuid.UUID


NEWEST: Final = JobPlace(datetime.max.replace(tzinfo=UTC), uuid.UUID(int=(1 << 128) - 1))


class Jobs:
    """The rows of jobs. heartbeat_ttl_s: of who shows them; then a running job says when no ingest worker lives, which
    may be silent for so long.
    """

    def __init__(self, pool: Pool, heartbeat_ttl_s: float | None = None) -> None:
        self._pool = pool
        self._ttl_s = heartbeat_ttl_s

    @property
    def seals(self) -> Codec:
        """Return what seals and opens the lines of jobs."""
        return self._pool.seals

    async def begin(self, new: NewJob, log_id: str) -> JobRow:
        """Write a job's row, or return the one that is there, whatever its state. Raises GraphNotFoundError when the
        job was erased, with its graph or with the turn that started it.

        log_id: of the log that takes the upload. Of another one nothing was received: then the row's received_ are what
        the file has.
        """
        await self._pool.execute(_SQL["begin_job"], *new, log_id)
        row = await self._pool.fetchrow(_SQL["find_job"], new.job_id, new.tenant, self._ttl_s)
        if row is None:
            raise GraphNotFoundError(f"graph {new.graph!r} was erased meanwhile, or the turn that uploads into it was")
        return _job(row)

    async def note_received(
        self, job_id: uuid.UUID, log_id: str, line: int, chain: bytes, size_bytes: int, *, is_end: bool
    ) -> bool:
        """Note that the log has acknowledged all lines up to one. Whether the job still runs.

        size_bytes: of these lines. is_end: the end of the upload, behind this line, too.
        """
        return bool(await self._pool.fetchval(_SQL["note_received"], job_id, log_id, line, chain, size_bytes, is_end))

    async def end(self, job_id: uuid.UUID, state: JobState, code: str = "", reason: str = "") -> bool:
        """End a job; False when it has ended already."""
        return bool(await self._pool.fetchval(_SQL["end_job"], job_id, state, code, reason))

    async def end_replaced(self, job_id: uuid.UUID) -> builtins.list[JobRow]:
        """End the jobs that read what the topic of this job was before it was made again under its name, into the same
        life of the graph, and those of the same topic with which this one goes on. Returns those that this has ended.
        """
        return await self.find_many(await self._pool.fetchval(_SQL["end_replaced"], job_id))

    async def cancel(self, job_id: uuid.UUID, tenant: str) -> JobRow | None:
        """Cancel a job that has not ended. Returns its row; None when the tenant has no such job."""
        await self._pool.execute(_SQL["cancel_job"], job_id, tenant)
        return await self.find(job_id, tenant)

    async def wait(self, job_id: uuid.UUID, tenant: str, turn_id: uuid.UUID, lane: str) -> JobRow | None:
        """Return a job. When it has not ended, its end is told to a turn, by a signal of the name `end_signal`.

        None when the tenant has no such job.
        """
        await self._pool.execute(_SQL["wait_for_job"], job_id, tenant, turn_id, lane)
        return await self.find(job_id, tenant)

    async def find(self, job_id: uuid.UUID, tenant: str) -> JobRow | None:
        return _found(await self._pool.fetchrow(_SQL["find_job"], job_id, tenant, self._ttl_s))

    async def find_many(self, job_ids: Sequence[uuid.UUID]) -> builtins.list[JobRow]:
        """Return those of these jobs that are there, of any tenant: for who has looked the tenants up before."""
        return [_job(row) for row in await self._pool.fetch(_SQL["find_jobs"], job_ids, self._ttl_s)]

    async def was_read(self, tenant: str, graph: str, log_id: str) -> bool:
        """Whether a topic of this log was read into a graph of this name, in any of its lives, or into one that was
        erased, of which nobody knows the name any more.
        """
        return bool(await self._pool.fetchval(_SQL["was_read"], tenant, graph, log_id))

    async def list(self, tenant: str, graph: str, before: JobPlace, limit: int) -> builtins.list[JobRow]:
        """Return at most `limit` jobs of a graph, of all its lives, that were made before a place, the newest first."""
        rows = await self._pool.fetch(_SQL["list_jobs"], tenant, graph, *before, limit, self._ttl_s)
        return [_job(row) for row in rows]

    async def rejects(
        self, job_id: uuid.UUID, tenant: str, after: tuple[int, int], limit: int
    ) -> builtins.list[RejectRow]:
        """Return at most `limit` refused lines after a (partition, line), in order."""
        rows = await self._pool.fetch(_SQL["list_rejects"], job_id, tenant, *after, limit)
        return [RejectRow(*row) for row in rows]

    async def events(self, job_id: uuid.UUID, tenant: str, after: int, limit: int) -> builtins.list[JobEventRow]:
        """Return at most `limit` events with a seq above `after`, in order."""
        rows = await self._pool.fetch(_SQL["list_job_events"], job_id, tenant, after, limit)
        return [JobEventRow(row[0], row[1], JobEventType(row[2]), row[3], row[4]) for row in rows]

    async def ended(self, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """Return those of these jobs that have ended."""
        return {row[0]: JobState(row[1]) for row in await self._pool.fetch(_SQL["list_ended_jobs"], job_ids)}

    async def purge(self, role: str, term: int, lane: str, age_s: float, limit: int) -> int:
        """Forget at most `limit` jobs that ended age_s ago and are gone from the log. Raises OwnershipLostError."""
        return int(await write_as(self._pool, _SQL["purge_ingest"], role, term, lane, age_s, limit))

    async def abandon(self, role: str, term: int, age_s: float, limit: int) -> int:
        """End at most `limit` uploads that nobody went on with for age_s. Raises OwnershipLostError."""
        return int(await write_as(self._pool, _SQL["abandon_uploads"], role, term, age_s, limit))


def end_signal(job_id: uuid.UUID) -> str:
    """Return the name of the signal that tells a turn the end of a job. No client can send one of such a name."""
    return f"\x01ingest:{job_id}"


def _found(row: Any) -> JobRow | None:
    return None if row is None else _job(row)


def _job(row: Any) -> JobRow:
    made = JobRow._make(row)
    return made._replace(kind=JobKind(made.kind), state=JobState(made.state), waits_for=WaitsFor(made.waits_for))
