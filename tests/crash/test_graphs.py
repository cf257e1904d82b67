"""Turns that write to graphs: whatever happens to a worker or a shard, what a turn writes is written once."""

import asyncio
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from argosy.store.pool import connect
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.processes import stopped
from tests.harness.sharded import SILENT_SOON, until_stopped
from tests.shards.processes import ShardProcess

BATCHES = 3
# Between what vectors are made of, what is recorded, what is applied and its record: of the first write, and of later
# ones.
AT = (
    "graph_applied:2",
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in ("graph_embedded:2", "graph_recorded", "graph_applied", "graph_recorded:5", "graph_applied:7")
    ),
)

PAUSE = """WITH paused AS (
  UPDATE inbox SET due_at = now() + interval '50 s'
  WHERE turn_id = ANY ($1::uuid[]) AND name = 'retry' AND state = 'due' RETURNING 1)
SELECT count(*) FROM paused"""

pytestmark = BOTH_IN_FAULTS


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{Path(__file__).with_name('graphing.py')}",
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "2",
    }


async def results(client: Client, turns: list[str]) -> list[Any]:
    """What the turns returned, once all have ended; of one that failed, why."""
    found = await client.until_status(turns, within_s=60)
    return [found[turn]["result"] or found[turn]["error"] for turn in turns]


@pytest.mark.parametrize("crash_at", AT)
async def test_a_worker_killed_around_a_write_leaves_it_applied_once(
    crash_at: str, fleet: Fleet, client: Client
) -> None:
    made = {"EMBEDDER": "tests.harness.toy_embedder:embed"} if crash_at.startswith("graph_embedded") else {}
    doomed = await asyncio.to_thread(lambda: fleet.worker(crash_at=crash_at, **made))

    turns = [await client.post(f"session-{number}", "writes", batches=BATCHES) for number in range(3)]
    assert await asyncio.to_thread(doomed.wait_dead, 20) == -9
    await asyncio.to_thread(lambda: fleet.worker(**made))
    # A session's next turn is not fenced by the one before, and sees how often its graph was written to.
    later = [await client.post(f"session-{number}", "writes", batches=1) for number in range(3)]
    counted = [await client.post(f"session-{number}", "counts") for number in range(3)]

    assert await results(client, turns) == [[1, 2, 3]] * 3
    assert await results(client, later) == [[4]] * 3
    assert await results(client, counted) == [[4, 4]] * 3


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("stop_at", ["graph_recorded", "graph_applied"])
async def test_a_worker_that_wakes_up_with_a_write_under_way_writes_nothing_twice(
    stop_at: str, idle_fleet: Fleet, client: Client
) -> None:
    idle_fleet.gateway(**SILENT_SOON)
    zombie = await asyncio.to_thread(lambda: idle_fleet.worker(GRAPHS_STOP_AT=stop_at, **SILENT_SOON))
    turn = await client.post("session", "writes", batches=BATCHES)
    await until_stopped(zombie)

    await asyncio.to_thread(lambda: idle_fleet.worker(**SILENT_SOON))
    later = await client.post("session", "writes", batches=1)
    assert await results(client, [turn, later]) == [[1, 2, 3], [4]]
    psutil.Process(zombie.pid).resume()
    await asyncio.to_thread(zombie.wait_ready)
    counted = [await client.post("session", "counts") for _ in range(2)]

    assert await results(client, counted) == [[4, 4]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1])
async def test_a_worker_that_slept_past_its_turn_s_end_writes_nothing(idle_fleet: Fleet, client: Client) -> None:
    idle_fleet.gateway(**SILENT_SOON)
    zombie = await asyncio.to_thread(lambda: idle_fleet.worker(GRAPHS_STOP_AT="graph_recorded", **SILENT_SOON))
    first = await client.post("session", "writes", batches=1)
    await until_stopped(zombie)
    await client.post_to(f"/v1/turns/{first}/cancel")
    await asyncio.to_thread(lambda: idle_fleet.worker(**SILENT_SOON))
    later = await client.post("session", "writes", batches=1)
    await client.until_status([first, later])
    (version,) = (await results(client, [later]))[0]
    counted = [await client.post("session", "counts")]
    await client.until_status(counted)

    psutil.Process(zombie.pid).resume()
    await asyncio.to_thread(zombie.terminate)  # what it still sends it has sent then
    counted.append(await client.post("session", "counts"))

    assert version in (1, 2)  # the other worker may have sent what was recorded before it was told of the cancel
    assert await results(client, counted) == [[version, version]] * 2


async def test_while_a_shard_is_down_only_the_turns_that_need_it_wait_and_they_finish_after(
    fleet: Fleet, client: Client, shard: ShardProcess
) -> None:
    await asyncio.to_thread(fleet.worker)
    known = await client.post("known", "writes", batches=1)
    assert await results(client, [known]) == [[1]]

    shard.process.kill()
    waiting = [await client.post(session, "writes", batches=2) for session in ("known", "new")]
    others = [await client.post(f"session-{number}", "steps", effects=1) for number in range(5)]
    await client.until_status(waiting, {"suspended"})
    await client.until_status(others, {"completed"})
    await in_their_longest_pause(fleet, waiting)
    explained = (await client.get(f"/v1/turns/{waiting[0]}/explain")).json()
    await asyncio.to_thread(shard.start)
    await client.until_status(waiting, within_s=10)

    assert explained["code"] == "waiting_for_shard"
    assert await results(client, waiting) == [[2, 3], [1, 2]]


@pytest.mark.slow
async def test_a_shard_that_is_stopped_for_30_s_holds_up_the_turns_that_need_it_and_no_others(
    idle_fleet: Fleet, client: Client, shard: ShardProcess, second: ShardProcess
) -> None:
    idle_fleet.environment["GRAPH_SERVICE_ENDPOINTS"] = f"{shard.endpoint},{second.endpoint}"
    # A look that is not answered comes before a call's deadline, as with the defaults.
    await asyncio.to_thread(lambda: idle_fleet.start(DISPATCH_SLOTS="4", GRAPH_WATCH_S="2", GRAPH_TIMEOUT_S="6"))
    sessions = [f"session-{number}" for number in range(16)]
    assert await results(client, [await client.post(each, "writes", batches=1) for each in sessions]) == [[1]] * 16
    there = await sessions_on(idle_fleet, shard)
    elsewhere = [each for each in sessions if each not in there]

    with stopped(shard.process):
        began_s = time.monotonic()
        writing = [await client.post(each, "writes", batches=1) for each in there[::2]]
        looking = [await client.post(each, "looks") for each in there[1::2]]
        others = [await client.post(each, "writes", batches=1) for each in elsewhere]
        others += [await client.post(f"{each}-new", "steps", effects=1) for each in sessions]
        ended = await client.until_status(others, within_s=25)
        await client.until_status([*writing, *looking], {"suspended"}, within_s=25)
        await asyncio.sleep(30 - (time.monotonic() - began_s))
    went_on = await client.until_status([*writing, *looking], within_s=20)

    assert {ended[turn]["status"] for turn in others} == {"completed"}
    assert [went_on[turn]["result"] for turn in writing] == [[2]] * len(writing)
    assert [went_on[turn]["result"] for turn in looking] == [1] * len(looking)


async def sessions_on(fleet: Fleet, shard: ShardProcess) -> list[str]:
    """The sessions whose graphs are on this shard."""
    connection = await connect(fleet.environment["STATE_DB_URI"])
    rows = await connection.fetch(
        "SELECT graph FROM graphs g JOIN shards s ON s.member_id = g.shard WHERE s.endpoint = $1", shard.endpoint
    )
    await connection.close()
    return [row["graph"].rpartition("/")[2] for row in rows]


async def in_their_longest_pause(fleet: Fleet, turns: list[str]) -> None:
    """Return when these turns wait for their shard as they would after it was away for minutes."""
    connection = await connect(fleet.environment["STATE_DB_URI"])
    async with asyncio.timeout(20):
        while await connection.fetchval(PAUSE, turns) != len(turns):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.05)
    await connection.close()
