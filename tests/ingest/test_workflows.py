"""A turn that uploads and waits, on a real fleet."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.shards.processes import ShardProcess


@pytest.fixture
def log_name() -> str:
    return "postgres"


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {"GRAPH_SERVICE_ENDPOINTS": shard.endpoint, "ARGOSY_WORKFLOWS": str(Path(__file__).with_name("filing.py"))}


@pytest.mark.slow
@pytest.mark.parametrize("crash_at", ["", "upload_made", "after_flush:2"])
async def test_a_turn_waits_for_what_it_uploads(crash_at: str, idle_fleet: Fleet, client: Client) -> None:
    first = idle_fleet.begin_worker(crash_at=crash_at)
    processes = [idle_fleet.begin_gateway(), first, idle_fleet.begin_ingest_worker()]
    for process in processes:
        await asyncio.to_thread(process.wait_ready)

    turn = await client.post("session", "files", papers=3)
    if crash_at:
        assert await asyncio.to_thread(first.wait_dead, 20) == -9
        await asyncio.to_thread(idle_fleet.worker)

    found = await client.until_status([turn], within_s=60)
    assert found[turn]["result"] == {"applied": 3, "rejected": 1, "documents": 3}
