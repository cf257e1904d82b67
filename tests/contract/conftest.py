"""A log of each kind for one test: a topic of its own, as its settings name it."""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from argosy.clock import Clock
from argosy.config import Settings, load
from argosy.ingest import job
from argosy.log import Batch, Entry, Identity, LogReader, LogWriter, Record
from argosy.logs.open import ensure_topic, open_admin, open_reader, open_writer
from argosy.logs.topic import topic_of_lane
from argosy.store.migrate import migrate
from argosy.store.pool import connect
from tests.harness.logs import DROP_TOPIC

MEMBER = Path(__file__).with_name("member.py")


async def until(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 20.0) -> None:
    """Returns when the condition holds; fails when it does not within the bound."""
    async with asyncio.timeout(within_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


class Owner:
    """Reads as a worker does: what it becomes eligible for it starts, at the position it is told, as a new reading."""

    def __init__(self, reader: LogReader, positions: dict[int, int] | None = None) -> None:
        self.reader = reader
        self.positions = {} if positions is None else positions
        self.eligible: frozenset[int] = frozenset()
        self.changes: list[frozenset[int]] = []
        self.batches: list[Batch] = []
        self.readings: dict[int, int] = {}
        self.is_starting = True
        self.identity: Identity | None = None
        self._reading_no = 0

    async def open(self) -> "Owner":
        self.identity = await self.reader.open(self.on_batch, self.on_eligible)
        return self

    def on_batch(self, batch: Batch) -> None:
        self.batches.append(batch)

    def on_eligible(self, partitions: frozenset[int]) -> None:
        gone, self.eligible = self.eligible - partitions, partitions
        self.changes.append(partitions)
        for partition in gone:
            self.reader.stop(partition)
            self.readings.pop(partition, None)
        if self.is_starting:
            for partition in partitions - self.readings.keys():
                self.start(partition, self.positions.get(partition, 0))

    def start(self, partition: int, position: int) -> int:
        self._reading_no += 1
        self.readings[partition] = self._reading_no
        self.reader.start(partition, position, self._reading_no)
        return self._reading_no

    def records(self, partition: int, reading_no: int | None = None) -> list[Record]:
        return [
            record
            for batch in self.batches
            if batch.partition == partition and reading_no in (None, batch.reading_no)
            for record in batch.records
        ]

    def values(self, partition: int, reading_no: int | None = None) -> list[bytes | None]:
        return [record.value for record in self.records(partition, reading_no)]

    @property
    def count(self) -> int:
        return sum(len(batch.records) for batch in self.batches)


class Log:
    """A topic of 4 partitions: of a lane, or of ingest."""

    def __init__(self, settings: Settings, dsn: str, lane: str = "default") -> None:
        self.settings = settings
        self.dsn = dsn
        self.topic = topic_of_lane(settings, lane)
        self._lane = lane
        self._closing = contextlib.AsyncExitStack()

    async def writer(self) -> LogWriter:
        writer = await open_writer(self.settings, self.dsn, self.topic)
        self._closing.push_async_callback(writer.close)
        return writer

    async def owner(
        self, positions: dict[int, int] | None = None, *, is_starting: bool = True, clock: Clock | None = None
    ) -> Owner:
        """A reader that has joined; it starts what it is eligible for unless told otherwise."""
        reader = open_reader(self.settings, self.dsn, self.topic, clock)
        self._closing.push_async_callback(reader.close)
        owner = Owner(reader, positions)
        owner.is_starting = is_starting
        return await owner.open()

    async def trim(self, partition: int, position: int) -> None:
        admin = open_admin(self.settings, self.dsn, self.topic)
        await admin.trim(partition, position)
        await admin.close()

    async def drop_topic(self) -> None:
        """As an operator would: Argosy itself never does."""
        if self.settings.log_backend == "kafka":
            admin = AdminClient({"bootstrap.servers": self.settings.kafka_bootstrap_servers, "log_level": 0})
            await asyncio.wrap_future(admin.delete_topics([self.topic.name])[self.topic.name])
            return
        connection = await connect(self.dsn)
        await connection.execute(DROP_TOPIC, self.topic.name)
        await connection.close()

    async def member_process(self) -> asyncio.subprocess.Process:
        """A reader in a process of its own, which prints how many partitions it is eligible for."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(MEMBER),
            self.settings.model_dump_json(exclude_unset=True),
            self.dsn,
            self._lane,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    async def close(self) -> None:
        await self._closing.aclose()


@contextlib.asynccontextmanager
async def new_log(
    *, brokers: str = "", dsn: str = "", append_timeout_s: float = 5.0, lane: str = "default"
) -> AsyncIterator[Log]:
    """On these brokers, or in the database of this DSN."""
    name = f"t{uuid.uuid4().hex[:10]}"
    settings = load(
        {},
        kafka_topic_prefix=name,
        kafka_group=name,
        agent_turns_partitions=4,
        ingest_topic=f"ingest-{name}",
        kafka_ingest_group=f"ingest-{name}",
        kg_tasks_partitions=4,
        log_append_timeout_s=append_timeout_s,
        kafka_bootstrap_servers=brokers,
    )
    if dsn:
        await migrate(dsn)
    log = Log(settings, dsn, lane)
    await ensure_topic(settings, dsn, log.topic)
    try:
        yield log
    finally:
        await log.close()


@pytest.fixture(
    params=[
        "kafka",
        "postgres",
        pytest.param("kafka-ingest", marks=pytest.mark.slow),
        pytest.param("postgres-ingest", marks=pytest.mark.slow),
    ]
)
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    backend, _, is_of_ingest = request.param.partition("-")
    where = str(request.getfixturevalue("broker" if backend == "kafka" else "database"))
    lane = job.LANE if is_of_ingest else "default"
    async with new_log(brokers=where, lane=lane) if backend == "kafka" else new_log(dsn=where, lane=lane) as log:
        yield log


def entries(partition: int, count: int, first: int = 0) -> list[Entry]:
    return [Entry(partition, b"key", b"%d" % number) for number in range(first, first + count)]


def values(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]
