"""What workers of ingest find out: how far they are in the log, and how far graphs' files are with jobs.

Everything is said under the lineage that was read before anything else (`Notes.begin`): what was found out before the
database went back is refused, all of it.
Raises: StoreUnavailableError, OwnershipLostError (the lineage has grown: nothing was written)
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import asyncpg

from argosy.errors import OwnershipLostError
from argosy.ingest.job import JobState, WaitsFor
from argosy.store.columns import columns
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("ingest")
_POSITIONS: Final = load_queries("partition")
_LINEAGE_GREW: Final = "AR001"


class Verdict(StrEnum):
    """What a graph's file says about the end of an upload, once that stood in the log."""

    NOTHING = ""  # it did not stand there yet
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"  # lines before it are in no log and in no file


class Passed(NamedTuple):
    """A partition in which everything from `begin` to `end` is done. age_s: so many seconds ago the log ended there, or
    before: so every record that had been appended by then is done; None: nobody looked.
    """

    partition: int
    begin: int
    end: int
    age_s: float | None = None


class DeadRecord(NamedTuple):
    """A record that cannot be decoded."""

    partition: int
    position: int
    value: bytes
    code: str
    reason: str


class JobNote(NamedTuple):
    """What was found out about a job. The first six are what its records say.

    next_line, chain, applied, rejected: what the graph's file had; None: it was not asked. waits_for: None: as it was.
    end_line, end_chain: the end of the upload, when it stood in the log.
    """

    job_id: uuid.UUID
    tenant: str
    graph: str
    incarnation: uuid.UUID
    bucket: int
    made_at: datetime
    next_line: int | None
    chain: bytes | None
    applied: int | None
    rejected: int | None
    rate_lines_s: float
    waits_for: WaitsFor | None
    end_line: int | None
    end_chain: bytes | None
    verdict: Verdict
    code: str
    reason: str


class RejectNote(NamedTuple):
    """A refused line of a job."""

    job_id: uuid.UUID
    partition: int
    line: int
    code: str
    reason: str
    start: bytes


@dataclass(frozen=True)
class Note:
    """What a worker says at once. Of each job there is one row, or one for each end of an upload."""

    passed: Sequence[Passed] = ()
    dead: Sequence[DeadRecord] = ()
    jobs: Sequence[JobNote] = ()
    rejects: Sequence[RejectNote] = ()


class Noted(NamedTuple):
    """What Postgres has now: the position of each partition, and the state of each job, that were said."""

    positions: dict[int, int]
    states: dict[uuid.UUID, JobState]


class Notes:
    """What one worker says about one log. lane: under which its positions stand. First log_id is set, then comes
    `begin`.
    """

    def __init__(self, pool: Pool, lane: str, rejects_max: int) -> None:
        self._pool = pool
        self._lane = lane
        self.log_id = ""
        self._rejects_max = rejects_max
        self._lineage = 0

    async def begin(self) -> None:
        """Read the lineage under which everything that follows is read and said."""
        self._lineage = int(await self._pool.fetchval(_SQL["tell_lineage"]))

    async def is_made_again(self, topic_log_id: str, incarnation: uuid.UUID) -> bool:
        """Whether another log was read under this lane into this life of a graph, and nothing of this one yet."""
        arguments = (self._lane, topic_log_id, incarnation.hex)
        return bool(await self._pool.fetchval(_SQL["is_made_again"], *arguments))

    async def open_positions(self, begins: Mapping[int, int]) -> dict[int, int]:
        """Return where these partitions are done up to. One that has no position gets the one that is given for it."""
        numbers = sorted(begins)
        wanted = [begins[partition] for partition in numbers]
        await self._pool.execute(_POSITIONS["open_positions"], self.log_id, self._lane, numbers, wanted)
        return await self.positions(numbers)

    async def positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return where those of these partitions are done up to that have a position."""
        rows = await self._pool.fetch(_POSITIONS["list_positions"], self.log_id, list(partitions))
        return {row[0]: row[1] for row in rows}

    async def say(self, note: Note) -> Noted:
        """Write all of it, in one transaction."""
        jobs = sorted(note.jobs, key=lambda each: each.job_id)
        partitions = sorted(note.passed)
        arguments = (
            *columns(partitions, Passed._fields),
            *columns(note.dead, DeadRecord._fields),
            *columns(jobs, JobNote._fields),
            *columns(note.rejects, RejectNote._fields),
        )
        try:
            row = await self._pool.fetchrow(
                _SQL["note_ingest"], self._lineage, self._lane, self.log_id, *arguments, self._rejects_max
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == _LINEAGE_GREW:
                raise OwnershipLostError(str(error)) from error
            raise
        positions = {each.partition: at for each, at in zip(partitions, row[0], strict=True)}
        states = {each.job_id: JobState(state) for each, state in zip(jobs, row[1], strict=True)}
        return Noted(positions, states)

    async def reset(self, partition: int, position: int, to: int) -> None:
        """Let a partition be read again, from `to`: the log does not hold `position`, up to which it was done."""
        await self._pool.fetchval(_SQL["reset_position"], self._lineage, self.log_id, partition, position, to)

    async def lost(self, partitions: Sequence[int], partition_count: int) -> int:
        """Set back what was received of jobs whose lines the log has lost. Returns how many."""
        return int(
            await self._pool.fetchval(_SQL["note_lost"], self._lineage, self.log_id, partitions, partition_count)
        )

    async def end_dropped(self, partitions: Sequence[int], partition_count: int) -> int:
        """End jobs whose graphs were dropped. Returns how many."""
        return int(await self._pool.fetchval(_SQL["end_dropped"], partitions, partition_count))
