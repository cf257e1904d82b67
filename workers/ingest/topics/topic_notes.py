"""What a run of a source has found out, on its way into Postgres: rejects, positions, and how far its job is.

Rule: a record is passed when its line is durable in the graph's file and, if it was refused, stands in Postgres as a
reject. That never becomes untrue, so who says it, how often and how late does not matter.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from argosy.clock import Clock
from argosy.errors import GraphDeadlineError, InternalError, UnavailableError
from argosy.graph.bound import BoundGraph
from argosy.graph.feeds import FEEDS_MAX, RefusedLine
from argosy.ingest.chain import EMPTY
from argosy.ingest.job import JobState, WaitsFor, feed_of_partition
from argosy.store.ingest import JobRow, Jobs
from argosy.store.ingest_notes import JobNote, Note, Notes, Passed, RejectNote, Verdict

_ORDER: Final = (WaitsFor.OPERATOR, WaitsFor.SHARD)  # what is said first, when partitions wait for several things

_QUIET_S: Final = 5.0  # after this the graph is asked, and something said, although nothing has come


class _Kept:
    """Refused lines that wait for Postgres, and who waits for that."""

    def __init__(self, rejects: list[RejectNote]) -> None:
        self.rejects = rejects
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class TopicNotes:
    """The notes of one run. urgent: set when somebody waits for `say`. positions: as Postgres has them."""

    def __init__(self, notes: Notes, jobs: Jobs, job: JobRow, graph: BoundGraph, clock: Clock) -> None:
        self._notes = notes
        self._jobs = jobs
        self.job = job
        self._graph = graph
        self._clock = clock
        self._feeds: list[str] = []
        self.urgent = asyncio.Event()
        self.positions: dict[int, int] = {}
        self._passed: dict[int, int] = {}
        self._kept: list[_Kept] = []
        self._waiting: dict[int, WaitsFor] = {}
        self._counted: tuple[int, float] | None = None  # how many lines were done, and when that was
        self._said: tuple[WaitsFor, float] | None = None  # what the job waits for, and its rate
        self._said_at_s = float("-inf")

    async def find(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the positions of those of these partitions that have one."""
        return await self._notes.positions(partitions)

    async def open(self, begins: dict[int, int]) -> None:
        """Take up partitions where Postgres has them; one that has no position gets the one that is given for it. Lines
        of all of them are counted, whoever reads them.
        """
        self.positions |= await self._notes.open_positions(begins)
        self._feeds = [feed_of_partition(self.job.log_id, partition) for partition in sorted(self.positions)]

    async def keep(self, partition: int, refused: Sequence[RefusedLine]) -> None:
        """Return when these lines stand in Postgres as rejects of the job."""
        rejects = [
            RejectNote(self.job.job_id, partition, each.line - 1, each.code, each.reason, each.start)
            for each in refused
        ]
        kept = _Kept(rejects)
        self._kept.append(kept)
        self.urgent.set()
        await kept.done

    def pass_to(self, partition: int, offset: int) -> None:
        """Note that everything before this offset is done."""
        self._passed[partition] = offset

    def waits(self, partition: int, what: WaitsFor) -> None:
        """Note what a partition waits for; NOTHING: it goes on."""
        if what is WaitsFor.NOTHING:
            self._waiting.pop(partition, None)
        else:
            self._waiting[partition] = what

    def forget(self, partition: int) -> None:
        """Note that the partition is not read here any more."""
        self._waiting.pop(partition, None)
        self._passed.pop(partition, None)

    async def say(self) -> JobState:
        """Write down what there is, and return the state of the job. Raises StoreUnavailableError, OwnershipLostError,
        and GraphNotFoundError.
        """
        self.urgent.clear()
        kept, passed = list(self._kept), dict(self._passed)
        rejects = [reject for each in kept for reject in each.rejects]
        moves = [
            Passed(partition, self.positions[partition], offset, None)
            for partition, offset in passed.items()
            if offset > self.positions[partition]
        ]
        is_old = self._clock.monotonic_s() - self._said_at_s >= _QUIET_S
        if not (rejects or moves or is_old) and self._said == (self._waits_for, 0.0):
            ended = await self._jobs.ended([self.job.job_id])
            return ended.get(self.job.job_id, JobState.RUNNING)
        job = await self._job_note()
        noted = await self._notes.say(Note(passed=moves, jobs=[job], rejects=rejects))
        self._said, self._said_at_s = (self._waits_for, job.rate_lines_s), self._clock.monotonic_s()
        self.positions |= noted.positions
        self._kept = self._kept[len(kept) :]
        for each in kept:
            if not each.done.done():
                each.done.set_result(None)
        return noted.states[self.job.job_id]

    @property
    def _waits_for(self) -> WaitsFor:
        return next((each for each in _ORDER if each in self._waiting.values()), WaitsFor.NOTHING)

    async def _job_note(self) -> JobNote:
        counts = await self._count()
        applied, rejected = counts or (None, None)
        done = None if counts is None else sum(counts)
        return JobNote(
            *self.job[:4],
            bucket=self.job.bucket,
            made_at=self.job.made_at,
            next_line=None if done is None else done + 1,
            chain=None if done is None else EMPTY,
            applied=applied,
            rejected=rejected,
            rate_lines_s=self._rate(done),
            waits_for=self._waits_for,
            end_line=None,
            end_chain=None,
            verdict=Verdict.NOTHING,
            code="",
            reason="",
        )

    async def _count(self) -> tuple[int, int] | None:
        """Return how many lines of all partitions were applied and rejected; None when the shard does not say."""
        names = self._feeds
        try:
            found = [
                each
                for begin in range(0, len(names), FEEDS_MAX)
                for each in await self._graph.feeds(names[begin : begin + FEEDS_MAX])
                if each is not None
            ]
        except (UnavailableError, GraphDeadlineError, InternalError):
            return None
        return sum(each.applied for each in found), sum(each.rejected for each in found)

    def _rate(self, done: int | None) -> float:
        """Return the lines per second since the last count."""
        before, now_s = self._counted, self._clock.monotonic_s()
        if done is None:
            return 0.0
        self._counted = done, now_s
        return 0.0 if before is None or now_s <= before[1] else max(0.0, (done - before[0]) / (now_s - before[1]))
