"""A worker's parts over graphs in memory: what is sent, what is said, and when it fails, is a test's."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from argosy import config
from argosy.clock import SystemClock
from argosy.graph.asker import Asker
from argosy.graph.facts import GraphName
from argosy.graph.feeds import Fed, FeedBatch, FeedState, RefusedLine, end_of, is_next, new_feed, numbered_lines
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import JobState
from argosy.ingest.record import EndRecord, LinesRecord, encode, join_lines
from argosy.log import Record
from argosy.seal.codec import PLAIN, Codec
from argosy.store.ingest_notes import Note, Noted
from argosy.workers.ingest.graph_life import Life
from argosy.workers.ingest.loading import Loading
from argosy.workers.ingest.partition import Partition
from argosy.workers.ingest.progress import Progress

REFUSED_AT_ONCE = 3


class Row(NamedTuple):
    shard: uuid.UUID


class MemoryGraph:
    """A graph's file: lines that begin with a minus are refused. failures: raised first; gate: calls wait for it.
    done_max: lines of one call that are done.
    """

    def __init__(self, graphs: "MemoryGraphs", name: GraphName) -> None:
        self.name = name
        self.lines: list[bytes] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.done_max = 1_000_000
        self._graphs = graphs
        self._feeds: dict[str, FeedState] = {}
        self._refused: dict[str, list[RefusedLine]] = {}

    async def ingest(self, batch: FeedBatch) -> Fed:
        self._graphs.calls.append((self.name.graph, batch.first))
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        state = self._feeds.get(batch.feed, new_feed(batch.feed))
        refused = self._refused.setdefault(batch.feed, [])
        if is_next(batch, state):
            lines = numbered_lines(batch)
            done = lines[: self.done_max]
            bad = [(number, line) for number, line in done if line.startswith(b"-")]
            refused += [RefusedLine(number, "bad", "it is bad", line) for number, line in bad]
            self.lines += [line for _, line in done if not line.startswith(b"-")]
            counts = (state.applied + len(done) - len(bad), state.rejected + len(bad))
            state = self._feeds[batch.feed] = FeedState(batch.feed, *end_of(batch, lines, len(done)), *counts)
        left = [each for each in refused if each.line > batch.confirmed]
        return Fed(state, left[:REFUSED_AT_ONCE], len(left) > REFUSED_AT_ONCE, 1)


class MemoryGraphs:
    """calls: (graph, first line), in order. shards: of graphs that are not on the first."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.graphs: dict[str, MemoryGraph] = {}
        self.shards: dict[str, uuid.UUID] = {}

    def of(
        self, tenant: str, graph: str, incarnation: uuid.UUID | None = None, *, asker: Asker | None = None
    ) -> MemoryGraph:
        if graph not in self.graphs:
            self.graphs[graph] = MemoryGraph(self, GraphName(tenant, graph))
        return self.graphs[graph]

    async def find(self, tenant: str, graph: str) -> Row:
        return Row(self.shards.get(graph, uuid.UUID(int=1)))


class MemoryNotes:
    """What was said. failures: raised first. states: of jobs that have ended otherwise. ends: of their uploads."""

    def __init__(self) -> None:
        self.said: list[Note] = []
        self.failures: list[Exception] = []
        self.states: dict[uuid.UUID, JobState] = {}
        self.positions: dict[int, int] = {}
        self.ends: dict[uuid.UUID, tuple[int | None, bytes | None]] = {}

    async def say(self, note: Note) -> Noted:
        if self.failures:
            raise self.failures.pop(0)
        self.said.append(note)
        for each in note.passed:
            if self.positions.get(each.partition, 0) >= each.begin:
                self.positions[each.partition] = max(self.positions.get(each.partition, 0), each.end)
        for job in note.jobs:
            end = None if job.end_line is None else (job.end_line, job.end_chain)
            if end is not None and self.ends.setdefault(job.job_id, end) != end:
                continue
            if job.verdict in ("done", "failed"):
                self.states.setdefault(job.job_id, JobState(job.verdict.value))
        states = {job.job_id: self.states.get(job.job_id, JobState.RUNNING) for job in note.jobs}
        return Noted({each.partition: self.positions.get(each.partition, 0) for each in note.passed}, states)

    @property
    def refused(self) -> list[int]:
        return [each.line for note in self.said for each in note.rejects]


class MemoryJobs:
    seals: Codec = PLAIN

    def __init__(self, notes: MemoryNotes) -> None:
        self._notes = notes

    async def ended(self, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        return {each: self._notes.states[each] for each in job_ids if each in self._notes.states}


class MemoryLives:
    life = Life.GONE

    async def look(self, feed: Any) -> Life:
        return self.life


class NoReader:
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def accepted(self, partition: int, position: int) -> None:
        self.told.append((partition, position))


class World:
    """One worker that reads one partition, record by record (`read`)."""

    def __init__(self, notes: MemoryNotes | None = None, **settings: str) -> None:
        made = config.load({"INGEST_RETRY_S_MAX": "0.1", **settings})
        self.graphs, self.notes, self.reader = MemoryGraphs(), notes or MemoryNotes(), NoReader()
        self.jobs, self.lives, clock = MemoryJobs(self.notes), MemoryLives(), SystemClock()
        self.progress = Progress(self.notes, self.reader, clock)  # type: ignore[arg-type]
        self.loading = Loading(
            self.graphs,  # type: ignore[arg-type]
            self.jobs,  # type: ignore[arg-type]
            self.lives,  # type: ignore[arg-type]
            self.progress,
            clock,
            made,
        )
        self.partition = Partition(0, 0, 1)
        self.progress.read(self.partition)
        self.next_position = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.tasks = [asyncio.create_task(each.run()) for each in (self.progress, self.loading)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.loading.close()

    def upload(
        self, graph: str, lines: Sequence[bytes], *, tenant: str = "acme", size: int = 2, job: int = 0
    ) -> uuid.UUID:
        """Read the records of a whole upload, and its end."""
        job_id = uuid.UUID(int=job or len(self.graphs.graphs) + 1_000 + self.next_position)
        before = EMPTY
        for first in range(0, len(lines), size):
            part = lines[first : first + size]
            self.read(
                LinesRecord(job_id.bytes, tenant, graph, bytes(16), 1, first + 1, len(part), before, join_lines(part))
            )
            before = chain_of(before, part)
        self.read(EndRecord(job_id.bytes, tenant, graph, bytes(16), 1, len(lines), before))
        return job_id

    def read(self, record: LinesRecord | EndRecord) -> None:
        self.loading.add(self.partition, record, Record(self.next_position, 0, None, encode(record), ()))
        self.next_position += 1

    async def until_noted(self, position: int | None = None) -> None:
        wanted = self.next_position if position is None else position
        async with asyncio.timeout(20):
            while self.notes.positions.get(0, 0) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
