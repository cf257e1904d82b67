"""A topic of others is read into a graph: each of its records takes effect once."""

import asyncio
import json
import uuid

import pytest
from structlog.testing import capture_logs

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.graph.asker import Asker
from argosy.graph.bound import BoundGraph
from argosy.graph.graphs import Graphs
from argosy.ingest.job import JobEventType, JobKind, JobState, WaitsFor
from argosy.logs.open import ensure_topic
from argosy.logs.topic import ingest_topic
from argosy.store.graph import GraphRow
from argosy.store.ingest import NEWEST
from argosy.store.migrate import after_restore
from argosy.workers.ingest.topics.topic_readings import TopicReadings
from tests.topics import mappings
from tests.topics.conftest import GRAPH, World, until


async def test_records_become_nodes_and_edges_and_what_cannot_is_said(world: World) -> None:
    await world.make_topic()
    await world.write(
        [(n % 3, f"o-{n}", {"total": n, "customer": "ada" if n % 2 else None}) for n in range(30)]
        + [(0, "o-0", None), (1, "bad", b"<xml/>"), (1, "bad", {"no": "total"}), (2, "n", {"kind": "note"})]
    )

    async with world.worker():
        await until(lambda: world.counted(31, 2))
        await world.write([(2, "late", {"total": 99})])
        await until(lambda: world.has(["late"]))
        await until(lambda: world.counted(32, 2))

    nodes = await world.nodes()
    assert nodes.keys() == {*(f"o-{n}" for n in range(1, 30)), "ada", "late"}
    assert nodes["o-29"].props == b'{"total":29}'
    job = await world.job()
    assert (job.kind, job.state, job.graph, job.waits_for) == (JobKind.TOPIC, JobState.RUNNING, GRAPH, WaitsFor.NOTHING)
    assert [(each.partition, each.line, each.code) for each in await world.rejects()] == [
        (1, 10, "not_json"),
        (1, 11, "mapping_failed"),
    ]


@pytest.mark.slow
async def test_two_workers_share_a_topic_and_another_goes_on_where_they_ended(world: World) -> None:
    await world.make_topic(4)
    await world.write([(n % 4, "k", {"n": n}) for n in range(400)])

    settings = world.of("counted")
    async with world.worker(settings), world.worker(settings):
        await until(lambda: world.counted(400, 0))
        await world.write([(n % 4, "k", {"n": n}) for n in range(400, 800)])
        await until(lambda: world.counted(800, 0))
    await world.write([(n % 4, "k", {"n": n}) for n in range(800, 1_000)])
    async with world.worker(settings):
        await until(lambda: world.counted(1_000, 0))

    numbers = sorted(
        int(node.props.removeprefix(b'{"n":').removesuffix(b"}")) for node in (await world.nodes()).values()
    )
    assert numbers == list(range(1_000))


@pytest.mark.slow
async def test_a_topic_is_read_from_its_end_when_the_source_says_so(world: World) -> None:
    await world.make_topic()
    await world.write([(0, "old", {"total": 1})])

    async with world.worker(world.of(**{"from": "latest"})):
        await until(world.has_begun)
        await world.write([(0, "new", {"total": 2})])
        await until(lambda: world.has(["new"]))

    assert (await world.nodes()).keys() == {"new"}


@pytest.mark.slow
async def test_a_graph_that_was_dropped_stays_dropped_and_one_that_is_made_again_is_filled_again(world: World) -> None:
    await world.make_topic()
    await world.write([(n % 3, f"o-{n}", {"total": n}) for n in range(9)])
    async with world.worker():
        await until(lambda: world.counted(9, 0))
        await world.graphs.drop("default", GRAPH)
        await asyncio.sleep(5.0)
        assert await world.nodes() == {}
        await world.graphs.create("default", GRAPH)
        await until(lambda: world.has([f"o-{n}" for n in range(9)]))


@pytest.mark.slow
async def test_a_topic_that_is_not_there_is_read_once_it_is(world: World) -> None:
    async with world.worker():
        await asyncio.sleep(3.0)
        await world.make_topic()
        await world.write([(0, "o-1", {"total": 1})])
        await until(lambda: world.has(["o-1"]))


@pytest.mark.slow
async def test_a_topic_that_is_made_again_is_another_one(world: World) -> None:
    await world.make_topic()
    await world.write([(0, f"o-{n}", {"total": n}) for n in range(5)])
    async with world.worker():
        await until(lambda: world.counted(5, 0))
        first = await world.job()
        await world.delete_topic()
        await asyncio.sleep(3.0)
        await world.make_topic()
        await world.write([(0, f"p-{n}", {"total": n}) for n in range(3)])
        with capture_logs() as said:
            await until(lambda: world.has(["p-0", "p-1", "p-2"]))

    second, before = await world.job(), await world.jobs.find(first.job_id, "default")
    assert before is not None
    assert (second.state, before.state, before.code) == (JobState.RUNNING, JobState.FAILED, "topic_replaced")
    assert f"job {second.job_id} reads that" in before.reason
    *_, last = await world.jobs.events(first.job_id, "default", 0, 100)
    assert (last.type, json.loads(last.data)["code"]) == (JobEventType.FAILED, "topic_replaced")
    failed = [each for each in said if each["event"] == telemetry.INGEST_JOB_FAILED]
    assert [(each["job"], each["code"]) for each in failed] == [(str(first.job_id), "topic_replaced")]


@pytest.mark.slow
async def test_that_a_topic_was_made_again_is_said_although_no_worker_saw_it(world: World) -> None:
    await world.make_topic()
    await world.write([(0, "old", {"total": 1})])
    with capture_logs() as before:
        async with world.worker():
            await until(lambda: world.has(["old"]))
            await until(lambda: world.counted(1, 0))
        async with world.worker():
            await world.write([(0, "more", {"total": 1})])
            await until(lambda: world.has(["more"]))
    await world.delete_topic()
    await asyncio.sleep(3.0)
    await world.make_topic()
    await world.write([(0, "new", {"total": 1})])

    with capture_logs() as after:
        async with world.worker():
            await until(lambda: world.has(["new"]))

    said = [[each["event"] for each in logs].count(telemetry.TOPIC_MADE_AGAIN) for logs in (before, after)]
    assert said == [0, 1]


@pytest.mark.slow
async def test_partitions_that_come_later_are_read_from_their_first_record(world: World) -> None:
    await world.make_topic(1)
    async with world.worker(world.of(**{"from": "latest"})):
        await until(world.has_begun)
        await world.grow(3)
        await world.write([(n, f"o-{n}", {"total": n}) for n in range(3)])
        await until(lambda: world.has(["o-0", "o-1", "o-2"]), within_s=330.0)


@pytest.mark.slow
async def test_a_database_that_went_back_learns_from_the_graph_how_far_it_is(world: World) -> None:
    """And nothing that a worker found out before is written down after."""
    await world.make_topic()
    await world.write([(n % 3, "k", {"n": n}) for n in range(60)])
    async with world.worker(world.of("counted")):
        await until(lambda: world.counted(60, 0))
        await world.pool.execute("TRUNCATE positions, ingest_jobs, ingest_rejects, ingest_events")
        await after_restore(world.settings.state_db_uri, 0.0)
        await world.write([(n % 3, "k", {"n": n}) for n in range(60, 90)])

        async def knows_all() -> bool:
            rows = await world.pool.fetch("SELECT position FROM positions")
            return [row[0] for row in rows] == [30, 30, 30] and await world.counted(90, 0)

        await until(knows_all)

    assert len(await world.nodes()) == 90


@pytest.mark.slow
async def test_while_the_shard_is_away_records_wait_and_the_job_says_so(world: World) -> None:
    await world.make_topic()
    await world.write([(0, "before", {"total": 1})])
    async with world.worker():
        await until(lambda: world.counted(1, 0))
        await world.shard.stop()
        await world.write([(n % 3, f"o-{n}", {"total": n}) for n in range(30)])

        async def says_so() -> bool:
            return (await world.job()).waits_for is WaitsFor.SHARD

        await until(says_so)
        await world.serve_shard_again()
        await until(lambda: world.counted(31, 0))

        async def goes_on() -> bool:
            return (await world.job()).waits_for is WaitsFor.NOTHING

        await until(goes_on)


@pytest.mark.slow
async def test_a_mapping_that_is_not_there_stops_the_start_in_one_line(world: World) -> None:
    await ensure_topic(world.settings, world.settings.state_db_uri, ingest_topic(world.settings))
    topics = {world.topic: {"graph": GRAPH, "map": "tests.topics.mappings:nobody"}}

    worker = await world.worker_process(INGEST_TOPICS=json.dumps(topics))

    assert await asyncio.to_thread(worker.wait_dead, 30.0) == 1
    assert f"argosy worker: INGEST_TOPICS, {world.topic}.map cannot be loaded: " in worker.tail().splitlines()[-1]


@pytest.mark.slow
async def test_a_mapping_that_hangs_is_said_and_goes_on_when_it_does(world: World) -> None:
    mappings.go_on.clear()
    await world.make_topic()
    await world.write([(0, "o-1", {})])
    async with world.worker(world.of("stuck").model_copy(update={"ingest_mapping_s": 0.5})):

        async def says_so() -> bool:
            rows = await world.jobs.list("default", GRAPH, NEWEST, 1)
            return bool(rows) and rows[0].waits_for is WaitsFor.OPERATOR

        await until(says_so)
        mappings.go_on.set()
        await until(lambda: world.has(["o-1"]))
        await until(lambda: world.counted(1, 0))

        async def goes_on() -> bool:
            return (await world.job()).waits_for is WaitsFor.NOTHING

        await until(goes_on)


class GraphsWhileTheDatabaseGoesBack(Graphs):
    """As a worker has them; the database is restored just after a graph was found for the first time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.has_gone_back = False

    async def find(self, tenant: str, graph: str) -> GraphRow:
        found = await self._world.graphs.find(tenant, graph)
        if not self.has_gone_back:
            self.has_gone_back = True
            await after_restore(self._world.settings.state_db_uri, 0.0)
        return found

    def of(
        self, tenant: str, graph: str, incarnation: uuid.UUID | None = None, *, asker: Asker | None = None
    ) -> BoundGraph:
        return self._world.graphs.of(tenant, graph, incarnation, asker=asker)


async def test_what_was_known_of_a_graph_before_the_database_went_back_is_not_read_into(world: World) -> None:
    """All is asked again: the graph that was found may not be the one that is there now."""
    await world.make_topic()
    await world.graphs.create("default", GRAPH)
    await world.write([(0, "o-1", {"total": 1})])
    graphs = GraphsWhileTheDatabaseGoesBack(world)
    readings = TopicReadings(graphs, world.pool, SystemClock(), world.of())

    with capture_logs() as said:
        task = asyncio.create_task(readings.run())
        await until(lambda: world.counted(1, 0))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert [each["event"] for each in said].count(telemetry.LINEAGE_CHANGED) == 1
