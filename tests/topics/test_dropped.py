"""A graph that a topic is read into is dropped: its job ends, and nothing that was read for it gets into another."""

import asyncio
import json

import pytest

from argosy.errors import GraphNotFoundError
from argosy.graph.facts import Source
from argosy.graph.feeds import FeedBatch
from argosy.ingest.chain import EMPTY
from argosy.ingest.job import LANE, JobEventType, JobState, feed_of_partition
from argosy.logs.open import ensure_topic
from argosy.logs.topic import ingest_topic
from argosy.store.ingest import JobRow
from argosy.store.ingest_notes import Notes
from tests.topics.conftest import GRAPH, World, until

TENANT = "default"


async def end_of(world: World, job: JobRow) -> tuple[JobState, str, JobEventType]:
    """How a job has ended, by its row and its last event."""
    row = await world.jobs.find(job.job_id, TENANT)
    assert row is not None
    *_, last = await world.jobs.events(job.job_id, TENANT, 0, 100)
    assert json.loads(last.data).get("code", "") == row.code
    return row.state, row.code, last.type


@pytest.mark.slow
async def test_the_job_of_a_topic_ends_with_its_graph_and_another_one_fills_the_graph_that_is_made_again(
    world: World,
) -> None:
    await ensure_topic(world.settings, world.settings.state_db_uri, ingest_topic(world.settings))
    await world.make_topic()
    await world.write([(n % 3, "k", {"n": n}) for n in range(9)])
    worker = await world.worker_process()
    await asyncio.to_thread(worker.wait_ready)
    try:
        await until(lambda: world.counted(9, 0))
        first = await world.job()
        await world.graphs.drop(TENANT, GRAPH)

        async def has_ended() -> bool:
            return (await end_of(world, first))[0] is not JobState.RUNNING

        await until(has_ended)
        ended, left = await end_of(world, first), await world.nodes()
        await world.graphs.create(TENANT, GRAPH)

        async def is_filled_by_another() -> bool:
            return (await world.job()).job_id != first.job_id and await world.counted(9, 0)

        await until(is_filled_by_another)
        second = await world.job()
    finally:
        worker.bury()

    assert ended == (JobState.FAILED, "graph_dropped", JobEventType.FAILED)
    assert left == {}
    assert await end_of(world, first) == ended
    assert (second.state, second.applied, second.rejected) == (JobState.RUNNING, 9, 0)


async def test_what_was_read_for_a_graph_that_was_dropped_does_not_get_into_one_that_is_made_again(
    world: World,
) -> None:
    """A batch was under way when the graph was dropped. The next job reads from the end, and nothing of before."""
    settings = world.of(**{"from": "latest"})
    await world.make_topic(1)
    async with world.worker(settings):
        await until(world.has_begun)
        await world.write([(0, f"o-{n}", {"total": n}) for n in range(3)])
        await until(lambda: world.counted(3, 0))
        first = await world.job()
    late = world.graphs.of(TENANT, GRAPH, first.incarnation)
    feed, line = feed_of_partition(first.log_id, 0), b'{"op": "upsert_node", "id": "late", "label": "Order"}'
    [state] = await late.feeds([feed])
    assert state is not None

    await world.graphs.drop(TENANT, GRAPH)
    again = await world.graphs.create(TENANT, GRAPH)
    await Notes(world.pool, LANE, 10).end_dropped([0], 1)
    source = Source(step_key=f"ingest/{first.job_id}")
    for begin, chain in ((1, EMPTY), (state.next, state.chain)):  # where a new file waits, and where the old one did
        with pytest.raises(GraphNotFoundError):
            await late.ingest(FeedBatch(feed, 0, begin, begin + 1, chain, chain, line, 0, source, (begin,)))
    untouched = await world.graphs.of(TENANT, GRAPH).feeds([feed])
    async with world.worker(settings):

        async def is_read() -> bool:
            lane = f"*topic/{world.topic}"
            count = await world.pool.fetchval("SELECT count(*) FROM positions WHERE lane = $1", lane)
            return int(count) == 2

        await until(is_read)
        await world.write([(0, "new", {"total": 1})])
        await until(lambda: world.counted(1, 0))

    assert again.incarnation != first.incarnation
    assert untouched == [None]
    assert await end_of(world, first) == (JobState.FAILED, "graph_dropped", JobEventType.FAILED)
    assert (await world.nodes()).keys() == {"new"}
