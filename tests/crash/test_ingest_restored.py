"""A database that went back, and a log that was made again, beside workers and shards that went on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from argosy.ingest.job import JobState
from tests.harness.fleet import Fleet
from tests.ingest.hand import TENANT, GatewayHand, nodes
from tests.shards.processes import ShardProcess

pytestmark = pytest.mark.slow

BAD = b'{"op": "nothing"}'
GONE = (
    "DELETE FROM argosy.ingest_jobs",
    "DELETE FROM argosy.ingest_rejects",
    "DELETE FROM argosy.ingest_events",
    "DELETE FROM argosy.positions WHERE lane = '*ingest'",
    "DELETE FROM argosy.graphs",
    "UPDATE argosy.lineages SET restores = restores + 1",
)


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {"GRAPH_SERVICE_ENDPOINTS": shard.endpoint, "GRAPH_CACHE_S": "1"}


@pytest.fixture
async def hand(idle_fleet: Fleet) -> AsyncIterator[GatewayHand]:
    async with GatewayHand.of(idle_fleet) as hand:
        yield hand


async def test_after_a_promotion_workers_begin_again_and_go_on(idle_fleet: Fleet, hand: GatewayHand) -> None:
    worker = await asyncio.to_thread(idle_fleet.ingest_worker)
    first = await hand.upload("g", nodes(300))
    await hand.until_ended(first)

    await hand.pool.execute("UPDATE argosy.lineages SET restores = restores + 1")
    second = await hand.upload("g", nodes(300, first=300))

    assert (await hand.until_ended(second)).applied == 300
    assert await hand.numbers("g") == list(range(600))
    assert "ingest.begun_again" in worker.tail()


@pytest.mark.parametrize("log_name", ["kafka"])
async def test_a_database_from_before_the_uploads_gets_all_of_them_from_the_log_once(
    idle_fleet: Fleet, hand: GatewayHand
) -> None:
    worker = await asyncio.to_thread(idle_fleet.ingest_worker)
    lines = [*nodes(150), BAD, *nodes(150, first=150)]
    whole = await hand.upload("whole", lines)
    half = await hand.begin("half")
    await hand.append(half, *hand.records(half, lines)[:2])
    await hand.until_ended(whole)
    await hand.until(half, lambda row: row.next_line > 200)
    deleted = await hand.upload("whole", [b'{"op": "delete_node", "id": "n0"}'])
    await hand.until_ended(deleted)
    await asyncio.to_thread(worker.terminate)

    # As it was before anything of this: the shard has graphs that no row names.
    for statement in GONE:
        await hand.pool.execute(statement)
    again = await asyncio.to_thread(idle_fleet.ingest_worker)
    row = await hand.until_row(whole)
    row = await hand.until_ended(row)

    assert (row.state, row.applied, row.rejected, row.incarnation) == (JobState.DONE, 300, 1, whole.incarnation)
    assert await hand.numbers("whole") == list(range(1, 300))
    assert await hand.rejected_lines(row) == [151]
    going_on = await hand.until_row(half)
    assert (await hand.until(going_on, lambda row: row.next_line > 200)).state is JobState.RUNNING
    assert "ingest.graph_made_again" in again.tail()
    begun = await hand.begin("half", half.idempotency_key or "")
    assert (begun.job_id, begun.received_line) == (half.job_id, 200)
    await hand.append(begun, *hand.records(begun, lines)[2:], hand.end(begun, lines))
    assert (await hand.until_ended(begun)).state is JobState.DONE
    assert await hand.numbers("half") == list(range(300))


async def test_a_graph_that_was_dropped_and_made_again_gets_nothing_of_the_old_one(
    idle_fleet: Fleet, hand: GatewayHand
) -> None:
    await asyncio.to_thread(idle_fleet.ingest_worker)
    half = await hand.begin("g")
    await hand.append(half, *hand.records(half, nodes(200))[:1])
    await hand.until(half, lambda row: row.next_line > 100)

    await hand.graphs.drop(TENANT, "g")
    assert (await hand.until_ended(half)).code == "graph_dropped"
    await hand.append(half, *hand.records(half, nodes(200))[1:])
    fresh = await hand.upload("g", nodes(5))

    assert (await hand.until_ended(fresh)).state is JobState.DONE
    assert await hand.numbers("g") == list(range(5))
