"""A turn that waits for a job is told its end, whatever that is: on both logs, whoever waits."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.shards.processes import ShardProcess

PAPERS = 3


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {"GRAPH_SERVICE_ENDPOINTS": shard.endpoint, "ARGOSY_WORKFLOWS": str(Path(__file__).with_name("filing.py"))}


async def until_waiting(client: Client, graph: str, turn: str) -> str:
    """The id of the job that a turn waits for."""
    until_s = time.monotonic() + 30
    while True:
        assert time.monotonic() < until_s
        jobs = (await client.request("GET", f"/v1/graphs/{graph}/ingest")).json().get("jobs", [])
        status = (await client.request("GET", f"/v1/turns/{turn}")).json()["status"]
        if jobs and status == "suspended":
            return str(jobs[0]["job_id"])
        await asyncio.sleep(0.05)


async def ended(client: Client, turn: str) -> dict[str, Any]:
    """What the turn was told, once it has ended."""
    found = await client.until_status([turn], within_s=60)
    told: dict[str, Any] = found[turn]["result"]
    return told


@BOTH_IN_FAULTS
async def test_a_turn_is_told_that_the_job_it_waits_for_was_cancelled_failed_or_is_done(
    idle_fleet: Fleet, client: Client
) -> None:
    for process in (idle_fleet.begin_gateway(), idle_fleet.begin_worker()):
        await asyncio.to_thread(process.wait_ready)
    graphs = ("cancelled", "failed", "done")
    turns = {each: await client.post(each, "awaits", papers=PAPERS, graph=each) for each in graphs}
    jobs = {each: await until_waiting(client, each, turn) for each, turn in turns.items()}

    cancelled = await client.request("POST", f"/v1/ingest/{jobs['cancelled']}/cancel")
    dropped = await client.request("DELETE", "/v1/graphs/failed?confirm=failed")
    told = {"cancelled": await ended(client, turns["cancelled"])}
    await asyncio.to_thread(idle_fleet.ingest_worker)
    told |= {each: await ended(client, turns[each]) for each in ("failed", "done")}

    assert cancelled.status_code == 200
    assert dropped.status_code in (200, 202, 204), dropped.text
    assert {each: told[each]["job_id"] for each in graphs} == jobs
    assert [(told[each]["status"], told[each]["code"]) for each in graphs] == [
        ("cancelled", "cancelled"),
        ("failed", "graph_dropped"),
        ("done", ""),
    ]
    assert [(told[each]["applied"], told[each]["rejected"]) for each in graphs] == [(0, 0), (0, 0), (0, PAPERS)]
    assert told["cancelled"]["reason"]
    assert told["failed"]["reason"]


@pytest.mark.slow
async def test_a_turn_that_comes_too_late_to_wait_is_told_the_same(idle_fleet: Fleet, client: Client) -> None:
    """The worker is killed once it has uploaded; the job ends while nobody runs the turn."""
    first = idle_fleet.begin_worker(crash_at="upload_made")
    gateway = idle_fleet.begin_gateway()
    await asyncio.to_thread(gateway.wait_ready)
    await asyncio.to_thread(first.wait_ready)
    turn = await client.post("session", "awaits", papers=PAPERS, graph="papers")
    assert await asyncio.to_thread(first.wait_dead, 20) == -9
    [job] = (await client.request("GET", "/v1/graphs/papers/ingest")).json()["jobs"]
    answer = await client.request("POST", f"/v1/ingest/{job['job_id']}/cancel")
    await asyncio.to_thread(idle_fleet.worker)

    told = await ended(client, turn)

    assert answer.status_code == 200
    assert (told["job_id"], told["status"], told["applied"]) == (job["job_id"], "cancelled", 0)
