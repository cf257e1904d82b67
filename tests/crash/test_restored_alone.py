"""Postgres restored alone, from an older backup: shards have newer graphs, and a gateway of before goes on running.

As docs/restore.md has it, "A database restored by other means" and "Graphs".
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.crash.test_restored import administer, fetchval
from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.processes import Managed
from tests.shards.processes import ShardProcess

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["kafka"])]

GRAPHING = Path(__file__).with_name("graphing.py")
BATCHES = 2


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{GRAPHING}",
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "1",
    }


async def run(fleet: Fleet, *arguments: str) -> str:
    code, output = await asyncio.to_thread(fleet.run, *arguments)
    assert code == 0, output
    return output


async def results(client: Client, turns: list[str], within_s: float = 90.0) -> list[Any]:
    ended = await client.until_status(turns, within_s=within_s)
    return [ended[turn]["result"] for turn in turns]


async def writes(client: Client, *sessions: str) -> list[str]:
    return [await client.post(session, "writes", batches=BATCHES) for session in sessions]


async def stopped(*processes: Managed) -> None:
    for process in processes:
        await asyncio.to_thread(process.terminate)


async def answers(client: Client, path: str) -> int:
    """The status of an answer; 0: the connection was closed without one."""
    try:
        return (await client.request("GET", path)).status_code
    except OSError:
        return 0


@pytest.mark.scenario(
    "database restored alone, beside newer graphs and a living gateway",
    "the gateway answers 202 all the while and reads again after; every accepted turn ends, no write is doubled",
)
async def test_what_the_page_promises_is_what_happens(idle_fleet: Fleet, client: Client, shard: ShardProcess) -> None:
    fleet = idle_fleet
    before_gateway, before_worker = await asyncio.to_thread(fleet.gateway), await asyncio.to_thread(fleet.worker)
    assert await results(client, await writes(client, "older", "dropped")) == [[1, 2]] * 2
    await stopped(before_worker, before_gateway)
    await administer(fleet, "CREATE DATABASE {0}_backup TEMPLATE {0}")

    gateway, worker = await asyncio.to_thread(fleet.gateway), await asyncio.to_thread(fleet.worker)
    since = await writes(client, "older", "newer")
    assert await results(client, since) == [[3, 4], [1, 2]]
    await run(fleet, "graph", "drop", "session:default/dropped", "--again", "session:default/dropped")
    await stopped(worker)
    await administer(fleet, "DROP DATABASE {0} WITH (FORCE)")
    beside = await writes(client, "older", "newer")  # the gateway of before takes them, without any database
    assert await answers(client, f"/v1/turns/{beside[0]}") in (0, 500, 503, 504)
    await administer(fleet, "ALTER DATABASE {0}_backup RENAME TO {0}")
    beside += await writes(client, "older")
    await run(fleet, "migrate")
    assert "the lineage is raised" in await run(fleet, "migrate", "--after-restore")

    shown = await run(fleet, "shards", "orphans")
    (orphan,) = json.loads(shown[shown.index("[") : shown.rindex("]") + 1])
    assert orphan["graph"] == "session:default/newer"
    assert "1 dropped" in await run(fleet, "shards", "orphans", "--drop", "--yes")
    dropped = "/v1/graphs/session:default%2Fdropped/summary"
    assert await answers(client, dropped) == 503  # known, and not there
    await run(fleet, "graph", "drop", "session:default/dropped", "--again", "session:default/dropped")

    await asyncio.to_thread(fleet.worker)
    beside += await writes(client, "dropped")

    assert gateway.process.poll() is None
    assert await results(client, since) == [[3, 4], [1, 2]]  # known by their keys, or written anew
    assert await results(client, beside) == [[5, 6], [3, 4], [7, 8], [1, 2]]
    counted = [await client.post(session, "counts") for session in ("older", "newer", "dropped")]
    assert await results(client, counted) == [[8, 8], [4, 4], [2, 2]]
    epochs = json.loads((await client.get("/v1/fleet/partitions?limit=100")).text)["partitions"]
    assert {int(each["epoch"]) for each in epochs if each["epoch"]} >= {
        await fetchval(fleet, "SELECT max(epoch) FROM argosy.partitions")
    }
