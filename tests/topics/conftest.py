"""A topic that somebody else writes, a graph that it is read into, and workers in this process that do it."""

import asyncio
import contextlib
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import GraphNotFoundError, UnavailableError
from argosy.graph.facts import Node
from argosy.graph.graphs import Graphs
from argosy.secret import load_keys
from argosy.shards.server import ShardServer
from argosy.store.graph import Directory
from argosy.store.ingest import NEWEST, JobRow, Jobs, RejectRow
from argosy.store.pool import Pool
from argosy.workers.ingest.topics.topic_readings import TopicReadings
from tests.gateway.graph_shard import ShardOfTest, graphs_of_worker, shard_served
from tests.harness.processes import ROOT, Managed, free_port

GRAPH = "shop"


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


class World:
    """topic: of this test. graphs: as a worker has them."""

    def __init__(
        self, environment: dict[str, str], topic: str, graphs: Graphs, shard: ShardOfTest, folder: Path
    ) -> None:
        self.environment = environment
        self.settings = settings = config.load(environment)
        self.topic = topic
        self.graphs = graphs
        self.shard = shard
        self.folder = folder
        self.pool = Pool(settings.state_db_uri, 4, 10.0)
        self.jobs = Jobs(self.pool)
        servers = settings.kafka_bootstrap_servers
        self._started = 0
        self._server: ShardServer | None = None
        self._admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 5})

    async def close(self) -> None:
        await self.pool.close()
        if self._server is not None:
            await self._server.stop(0)

    # The topic, as its owner has it

    async def make_topic(self, partitions: int = 3, **settings: str) -> None:
        topic = NewTopic(self.topic, partitions, 1, config=settings)
        await asyncio.wrap_future(self._admin.create_topics([topic])[self.topic])

    async def grow(self, partitions: int) -> None:
        grown = NewPartitions(self.topic, partitions)
        await asyncio.wrap_future(self._admin.create_partitions([grown])[self.topic])

        async def is_known() -> bool:
            """Brokers tell of new partitions a little later; until then the producer refuses records for them."""
            topics = (await asyncio.to_thread(self._producer.list_topics, self.topic, 10)).topics
            return len(topics[self.topic].partitions) == partitions

        await until(is_known)

    async def delete_topic(self) -> None:
        await asyncio.wrap_future(self._admin.delete_topics([self.topic])[self.topic])

    async def delete_records(self, partition: int, offset: int) -> None:
        """As retention does: everything before this offset."""
        until_there = TopicPartition(self.topic, partition, offset)
        [deleted] = self._admin.delete_records([until_there]).values()
        await asyncio.wrap_future(deleted)

    async def write(self, records: Sequence[tuple[int, str, Any]]) -> None:
        """Write (partition, key, value): a value as JSON, bytes as they are, None as a deletion."""

        errors: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _: object) -> None:
            if error is not None:
                errors.append(error)

        def produce() -> None:
            for partition, key, value in records:
                data = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
                self._producer.produce(self.topic, data, key.encode(), partition, on_delivery=on_delivery)
                self._producer.poll(0)
            assert self._producer.flush(30) == 0
            assert errors == []

        await asyncio.to_thread(produce)

    # The shard

    async def serve_shard_again(self) -> None:
        """At its endpoint, after it was stopped."""
        port = int(self.shard.endpoint.rpartition(":")[2])
        [row] = await Directory(self.pool).shards()
        keys = load_keys(self.settings.graph_service_auth_secret, self.settings.argosy_data_dir)
        own = self.settings.model_copy(update={"shard_port": port})
        self._server = ShardServer(self.shard.shard, row.member.member_id, keys.shards, SystemClock(), own)
        await self._server.start()

    # Workers

    def of(self, mapping: str = "orders", **source: str) -> Settings:
        """Settings with which the topic is read."""
        entry = {"graph": GRAPH, "map": f"tests.topics.mappings:{mapping}", **source}
        environment = {"INGEST_TOPICS": json.dumps({self.topic: entry})}
        read = config.load(environment | {"KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers})
        return self.settings.model_copy(update={"ingest_topics": read.ingest_topics})

    @contextlib.asynccontextmanager
    async def worker(self, settings: Settings | None = None) -> AsyncIterator[None]:
        readings = TopicReadings(self.graphs, self.pool, SystemClock(), settings or self.of())
        task = asyncio.create_task(readings.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def worker_process(self, **settings: str) -> Managed:
        """`argosy worker ingest`, which reads the topic, in a process of its own."""
        self._started += 1
        port = free_port()
        entry = {"graph": GRAPH, "map": "tests.topics.mappings:counted"}
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
            "PYTHONPATH": str(ROOT),
            "INGEST_TOPICS": json.dumps({self.topic: entry}),
            "METRICS_PORT": str(port),
            **self.environment,
            **settings,
        }
        log = self.folder / f"worker-{self._started}.log"
        return Managed("ingest-worker", ["worker", "ingest"], environment, f"http://127.0.0.1:{port}/readyz", log)

    # What came of it

    async def nodes(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        try:
            graph = self.graphs.of("default", GRAPH)
            while page := await graph.scan(after=max(found, default=""), limit=1_000):
                found |= {node.id: node for node in page}
        except (GraphNotFoundError, UnavailableError):
            return {}
        return found

    async def has(self, ids: Mapping[str, Any] | Sequence[str]) -> bool:
        return (await self.nodes()).keys() >= set(ids)

    async def job(self) -> JobRow:
        """The newest job."""
        [job, *_] = await self.jobs.list("default", GRAPH, NEWEST, 10)
        return job

    async def rejects(self) -> list[RejectRow]:
        return await self.jobs.rejects((await self.job()).job_id, "default", (-1, -1), 10_000)

    async def has_begun(self) -> bool:
        """Whether it is written down where the topic is read from."""
        lane = f"*topic/{self.topic}"
        return bool(await self.pool.fetchval("SELECT EXISTS (SELECT 1 FROM positions WHERE lane = $1)", lane))

    async def counted(self, applied: int, rejected: int) -> bool:
        rows = await self.jobs.list("default", GRAPH, NEWEST, 1)
        return bool(rows) and (rows[0].applied, rows[0].rejected) == (applied, rejected)


@pytest.fixture
async def world(broker: str, database: str, tmp_path: Path) -> AsyncIterator[World]:
    name = f"t{uuid.uuid4().hex[:10]}"
    environment = {
        "STATE_DB_URI": database,
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "INGEST_TOPIC": f"ingest-{name}",
        "KG_TASKS_PARTITIONS": "2",
        "KAFKA_INGEST_GROUP": f"ingest-{name}",
        "KAFKA_GROUP_SESSION_TIMEOUT_MS": "2000",
        "ARGOSY_DATA_DIR": str(tmp_path / "data"),
        "GRAPH_SERVICE_AUTH_SECRET": "a secret of the tests, long enough",
        "GRAPH_WATCH_S": "0.2",
        "ENGINE_BREAKER_COOLDOWN": "0.5",
    }
    settings = config.load(environment)
    async with shard_served(settings, tmp_path / "shard") as shard, graphs_of_worker(settings) as graphs:
        world = World(environment, name, graphs, shard, tmp_path)
        yield world
        await world.close()
