"""A whole installation: backed up while it works, killed, and restored beside the log, which goes on."""

import asyncio
from itertools import chain
from pathlib import Path

import psutil
import pytest

from tests.crash.restoring import fetchval, run
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.sharded import SILENT_SOON, until_stopped
from tests.shards.processes import ShardProcess

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["kafka"])]

GRAPHING = Path(__file__).with_name("graphing.py")
SESSIONS, BATCHES = 8, 3
LOADED = "SELECT is_loaded FROM argosy_restore.progress"


@pytest.fixture
def settings(shards: list[ShardProcess]) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{GRAPHING}",
        "GRAPH_SERVICE_ENDPOINTS": shards[0].endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "1",
    }


async def post(client: Client, rounds: int) -> list[str]:
    return [
        await client.post(f"session-{number}", "writes", batches=BATCHES)
        for _ in range(rounds)
        for number in range(SESSIONS)
    ]


async def kill_the_restore_once_it_is_loaded(fleet: Fleet, folder: Path) -> None:
    process = fleet.start_process("restore", ["restore", str(folder), "--yes", "--at-once", "1"], 0, {})
    async with asyncio.timeout(60):
        for asked in ("SELECT to_regclass('argosy_restore.progress') IS NOT NULL", LOADED):
            while not await fetchval(fleet, asked):  # noqa: ASYNC110 (a process that others see through its database)
                await asyncio.sleep(0.02)
    process.kill()


@pytest.mark.scenario("installation restored from a backup", "turns and graphs go on: none is lost, nothing is doubled")
async def test_an_installation_is_restored_beside_its_log(
    idle_fleet: Fleet, client: Client, shards: list[ShardProcess], tmp_path: Path
) -> None:
    fleet, folder = idle_fleet, tmp_path / "backup"
    await asyncio.to_thread(fleet.start, 2)
    turns = await post(client, 2)
    await client.until_status(turns[:SESSIONS])
    taking = asyncio.create_task(asyncio.to_thread(run, fleet, "backup", str(folder)))
    while not taking.done():
        turns += await post(client, 1)
    code, output = taking.result()
    assert code == 0, output
    turns += await post(client, 2)
    await client.until_status(turns, within_s=120)

    for process in fleet.processes:
        process.kill()
    await fetchval(fleet, "DROP SCHEMA argosy CASCADE")
    fleet.environment["GRAPH_SERVICE_ENDPOINTS"] = shards[1].endpoint
    await kill_the_restore_once_it_is_loaded(fleet, folder)
    code, output = await asyncio.to_thread(run, fleet, "restore", str(folder), "--yes")
    assert code == 0, output
    await asyncio.to_thread(fleet.start, 2)

    ended = await client.until_status(turns, within_s=120)
    for number in range(SESSIONS):
        written = [ended[turn]["result"] for turn in turns[number::SESSIONS]]
        assert list(chain(*written)) == list(range(1, len(written) * BATCHES + 1))
        counted = await client.post(f"session-{number}", "counts")
        found = await client.until_status([counted], within_s=60)
        assert found[counted]["result"] == [len(written) * BATCHES] * 2


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.scenario("worker that slept through a restore", "what it had begun is refused, and written once")
async def test_a_worker_that_wakes_up_beside_the_restored_installation_writes_nothing_of_before(
    idle_fleet: Fleet, client: Client, shards: list[ShardProcess], tmp_path: Path
) -> None:
    fleet, folder = idle_fleet, tmp_path / "backup"
    gateway = await asyncio.to_thread(lambda: fleet.gateway(**SILENT_SOON))
    zombie = await asyncio.to_thread(lambda: fleet.worker(GRAPHS_STOP_AT="graph_recorded", **SILENT_SOON))
    turn = await client.post("session", "writes", batches=BATCHES)
    await until_stopped(zombie)
    code, output = await asyncio.to_thread(run, fleet, "backup", str(folder))
    assert code == 0, output

    await asyncio.to_thread(gateway.terminate)
    await fetchval(fleet, "DROP SCHEMA argosy CASCADE")
    fleet.environment["GRAPH_SERVICE_ENDPOINTS"] = shards[1].endpoint
    code, output = await asyncio.to_thread(run, fleet, "restore", str(folder), "--yes")
    assert code == 0, output
    await asyncio.to_thread(lambda: fleet.gateway(**SILENT_SOON))
    await asyncio.to_thread(lambda: fleet.worker(**SILENT_SOON))
    ended = await client.until_status([turn], within_s=60)
    psutil.Process(zombie.pid).resume()
    await asyncio.to_thread(zombie.wait_ready)
    counted = [await client.post("session", "counts") for _ in range(2)]
    found = await client.until_status(counted, within_s=60)

    assert ended[turn]["result"] == list(range(1, BATCHES + 1))
    assert [found[each]["result"] for each in counted] == [[BATCHES] * 2] * 2
    await asyncio.to_thread(zombie.terminate)
    assert (await client.until_status([turn]))[turn]["result"] == list(range(1, BATCHES + 1))
