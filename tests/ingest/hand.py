"""The hand of a gateway: it writes an upload into the log as a gateway does, but for what a test wants otherwise."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ShardUnavailableError
from argosy.graph.facts import Node
from argosy.graph.graphs import Graphs, open_graphs
from argosy.graph.transports.connect import connect_to_shards
from argosy.ids import partition_of
from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import JobKind, JobState, bucket_of_graph, job_id_of
from argosy.ingest.record import EndRecord, IngestRecord, LinesRecord, encode, join_lines
from argosy.log import Entry, LogWriter, Outcome
from argosy.logs.open import open_writer
from argosy.logs.topic import ingest_topic
from argosy.store.ingest import JobRow, Jobs, NewJob
from argosy.store.pool import Pool, open_pool
from tests.harness.fleet import Fleet

TENANT = "acme"
WITHIN_S = 60.0


def node(number: int, **props: object) -> bytes:
    """The line of one node."""
    return msgspec.json.encode(
        {"op": "upsert_node", "id": f"n{number}", "label": "Thing", "props": {"n": number, **props}}
    )


def nodes(count: int, first: int = 0) -> list[bytes]:
    return [node(number) for number in range(first, first + count)]


@dataclass
class GatewayHand:
    """Appends uploads. pool, graphs: what tests look at afterwards."""

    settings: Settings
    writer: LogWriter
    pool: Pool
    graphs: Graphs

    @staticmethod
    @asynccontextmanager
    async def of(fleet: Fleet) -> "AsyncIterator[GatewayHand]":
        settings = config.load(fleet.environment)
        dsn, clock = fleet.environment["STATE_DB_URI"], SystemClock()
        writer = await open_writer(settings, dsn, ingest_topic(settings))
        connect = connect_to_shards(settings, clock)
        async with open_pool(settings, dsn) as pool, open_graphs(settings, pool, connect, clock=clock) as graphs:
            yield GatewayHand(settings, writer, pool, graphs)
        await writer.close()

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.pool)

    async def begin(self, graph: str, key: str = "") -> JobRow:
        """A job, and its graph."""
        row = await self.graphs.create(TENANT, graph)
        key = key or uuid.uuid4().hex
        job_id = job_id_of(TENANT, graph, row.incarnation, key)
        new = NewJob(job_id, TENANT, graph, row.incarnation, JobKind.UPLOAD, bucket_of_graph(TENANT, graph), key)
        return await self.jobs.begin(new, self.writer.identity.log_id)

    async def upload(self, graph: str, lines: Sequence[bytes], key: str = "", *, record_lines: int = 100) -> JobRow:
        """A whole upload, with its end."""
        job = await self.begin(graph, key)
        await self.append(job, *self.records(job, lines, record_lines), self.end(job, lines))
        chain, log_id = chain_of(EMPTY, lines), self.writer.identity.log_id
        await self.jobs.note_received(job.job_id, log_id, len(lines), chain, sum(map(len, lines)), is_end=True)
        return job

    def records(self, job: JobRow, lines: Sequence[bytes], record_lines: int = 100) -> list[IngestRecord]:
        """The records of lines, cut after so many."""
        found: list[IngestRecord] = []
        before = EMPTY
        for first in range(0, len(lines), record_lines):
            part = lines[first : first + record_lines]
            about = (job.job_id.bytes, job.tenant, job.graph, job.incarnation.bytes, job.made_at_ms)
            found.append(LinesRecord(*about, first + 1, len(part), before, join_lines(part)))
            before = chain_of(before, part)
        return found

    def end(self, job: JobRow, lines: Sequence[bytes]) -> EndRecord:
        about = (job.job_id.bytes, job.tenant, job.graph, job.incarnation.bytes, job.made_at_ms)
        return EndRecord(*about, len(lines), chain_of(EMPTY, lines))

    async def append(self, job: JobRow, *records: IngestRecord) -> None:
        partition = partition_of(job.bucket, self.writer.partition_count)
        entries = [Entry(partition, job.job_id.bytes, encode(each)) for each in records]
        for each in await self.writer.append(entries):
            assert each.outcome is Outcome.APPENDED, each

    async def row(self, job: JobRow) -> JobRow:
        row = await self.jobs.find(job.job_id, TENANT)
        assert row is not None
        return row

    async def until_row(self, job: JobRow) -> JobRow:
        """The row of a job, once it is there again."""
        until_s = time.monotonic() + WITHIN_S
        while (row := await self.jobs.find(job.job_id, TENANT)) is None:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.05)
        return row

    async def until(self, job: JobRow, is_so: Callable[[JobRow], bool], within_s: float = WITHIN_S) -> JobRow:
        """The row of a job, once it is so."""
        until_s = time.monotonic() + within_s
        while not is_so(row := await self.row(job)):
            assert time.monotonic() < until_s, row
            await asyncio.sleep(0.05)
        return row

    async def until_ended(self, job: JobRow, within_s: float = WITHIN_S) -> JobRow:
        return await self.until(job, lambda row: row.state is not JobState.RUNNING, within_s)

    async def rejected_lines(self, job: JobRow) -> list[int]:
        return [each.line for each in await self.jobs.rejects(job.job_id, TENANT, (-1, 0), 100_000)]

    async def numbers(self, graph: str) -> list[int]:
        """The numbers of the nodes of a graph, in order, page by page."""
        found: list[int] = []
        after = ""
        while page := await self._page(graph, after):
            found.extend(msgspec.json.decode(each.props)["n"] for each in page)
            after = page[-1].id
        return sorted(found)

    async def _page(self, graph: str, after: str) -> list[Node]:
        """A page of a graph's nodes, as soon as its shard answers: a test may have killed it a moment ago."""
        until_s = time.monotonic() + WITHIN_S
        while True:
            try:
                return await self.graphs.of(TENANT, graph).scan(label="Thing", after=after, limit=1_000)
            except ShardUnavailableError:
                assert time.monotonic() < until_s
                await asyncio.sleep(0.2)
