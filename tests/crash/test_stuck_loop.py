"""User code blocks the event loop of a worker: that is no reason to take anything from it, unless it never ends."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.effects import until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.owners import owned_turns, owners, sessions_over, until_shared

PARTITIONS = 8
_SOON_SILENT = {"HEARTBEAT_INTERVAL_S": "0.3", "HEARTBEAT_TTL_S": "1.5"}
STUCK_EXIT_CODE = 70


@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.parametrize("block_s", [3, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.scenario("F48 event loop blocked", "nobody takes its partitions; a warning; everything goes on afterwards")
async def test_a_worker_whose_loop_is_blocked_for_a_while_keeps_what_it_owns(
    block_s: float, idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    workers = idle_fleet.start(2)
    await until_shared(client, workers, PARTITIONS)
    before = await owners(client)
    claims = [worker.metric("argosy_claims_total") for worker in workers]

    blocking = await client.post("blocked", "blocks", effects=1, block_s=block_s, counter=str(tmp_path / "blocked"))
    await until_reached(client.sink, [blocking])
    others = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS)]

    await client.until_status([blocking, *others], within_s=block_s + 15)
    assert await owners(client) == before
    assert [worker.metric("argosy_claims_total") for worker in workers] == claims
    assert "loop.blocked" in "".join(worker.tail(50_000) for worker in workers)
    await client.judge(disruptions=0)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.parametrize("settings", [{**_SOON_SILENT, "LOOP_STUCK_S": "2"}])
@pytest.mark.scenario("watchdog", "a loop that is stuck ends its process, which says where; the turns go on elsewhere")
async def test_a_worker_whose_loop_is_stuck_is_ended_and_its_turns_go_on(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    workers = idle_fleet.start(2)
    await until_shared(client, workers, PARTITIONS)
    owner_of = await owners(client)

    blocking = await client.post("stuck", "blocks", effects=1, block_s=60, counter=str(tmp_path / "blocked"))
    (stuck,) = [worker for worker in workers if await owned_turns(client, worker, [blocking], PARTITIONS)]
    turns = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS)]
    code = await asyncio.to_thread(stuck.wait_dead)

    await client.until_status([blocking, *turns])
    assert code == STUCK_EXIT_CODE
    assert "workflows.py" in stuck.tail(50_000)
    assert set((await owners(client)).values()) == set(owner_of.values()) - {stuck.pid}
    await client.judge(disruptions=1)
