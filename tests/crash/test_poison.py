"""A turn that kills every worker that runs it is found out and parked; nobody else pays for it (F34)."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.supervisor import Supervisor

DEATHS_MAX = 8


async def _converse(client: Client, number: int, is_over: asyncio.Event) -> None:
    """A neighbour: turn after turn, until the poison is dealt with."""
    while not is_over.is_set():
        turn = await client.post(f"neighbour-{number}", "steps", effects=2, n=2)
        turn = await client.post(f"neighbour-{number}", "dawdles", effects=1, step_s=0.1)
        await client.until_status([turn])


@BOTH_IN_FAULTS
@pytest.mark.parametrize("workflow", ["dies", pytest.param("dies_in_body", marks=pytest.mark.slow)])
@pytest.mark.scenario("F34 poison turn", "parked as crashes_its_worker after a bounded number of deaths; others go on")
async def test_a_turn_that_kills_its_workers_is_parked_and_its_neighbours_go_on(
    workflow: str, idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    idle_fleet.begin_gateway()
    is_over = asyncio.Event()
    async with Supervisor(idle_fleet, 2) as workers:
        talking = asyncio.gather(*(_converse(client, number, is_over) for number in range(10)))
        poison = await client.post("poisoned", workflow, counter=str(tmp_path / "deaths"))
        behind = await client.post("poisoned", "steps", effects=1)

        parked = await client.until_status([poison], {"parked"}, within_s=60)
        is_over.set()
        await talking
        assert (await client.turn(behind))["status"] == "queued"
        assert (await client.post_to(f"/v1/turns/{poison}/cancel")).status_code == 202
        await client.until_status(request.turn_id for request in client.requests if request.turn_id)

    assert parked[poison]["reason"] == "crashes_its_worker"
    assert (tmp_path / "deaths").stat().st_size == len(workers.deaths) <= DEATHS_MAX
    await client.judge(disruptions=len(workers.deaths))


@pytest.mark.slow
@pytest.mark.parametrize("workflow", ["dies", "dies_in_body"])
@pytest.mark.scenario("F34 killed thrice, innocent", "a turn that was in three crashes and then behaves completes")
async def test_a_turn_that_was_there_when_workers_died_and_then_behaves_completes(
    workflow: str, idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    idle_fleet.begin_gateway()
    async with Supervisor(idle_fleet, 2) as workers:
        turn = await client.post("unlucky", workflow, effects=1, counter=str(tmp_path / "deaths"), deaths=3)
        await client.until_status([turn], within_s=60)
    await client.judge(disruptions=len(workers.deaths))
