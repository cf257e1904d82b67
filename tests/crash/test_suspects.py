"""Workers are lost one after the other: nobody stands still for it, and the one turn that does it is found (F34)."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.checker.seen import Effect
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.supervisor import Supervisor

SLOTS = 256
DEATHS_MAX = 10  # log2(SLOTS) + 2
AGAIN_S = 10.0


async def _until(what: str, is_so: Callable[[Sequence[Effect]], bool], client: Client, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so(await asyncio.to_thread(client.sink.effects)):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        await asyncio.sleep(0.1)


def _runs_at(pids: set[int], turn_ids: list[str]) -> Callable[[Sequence[Effect]], bool]:
    """Whether the held step of each of the turns was begun by one of these processes."""

    def is_so(effects: Sequence[Effect]) -> bool:
        held = {each.turn_id for each in effects if each.pid in pids and each.step_key.startswith("hold")}
        return held >= set(turn_ids)

    return is_so


@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "F34 two losses in a row", "all that ran at two kills within 10 s run again within 10 s; nobody waits"
)
async def test_what_ran_at_two_kills_in_a_row_runs_again_at_once_and_nobody_else_waits(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    released = tmp_path / "released"
    idle_fleet.begin_gateway()
    async with Supervisor(idle_fleet, 2) as workers:
        killed: set[int] = set()

        def all_run(effects: Sequence[Effect]) -> bool:
            return _runs_at({worker.process.pid for worker in workers.living} - killed, turns)(effects)

        def kill_the_busiest() -> float:
            pids = [each.pid for each in client.sink.effects() if each.step_key.startswith("hold")]
            busiest = max(workers.living, key=lambda worker: pids.count(worker.process.pid))
            killed.add(busiest.process.pid)
            busiest.process.kill()
            return time.monotonic()

        turns = [await client.post(f"held-{number}", "holds", effects=3, until=str(released)) for number in range(100)]
        await _until("all run", all_run, client)
        killed_s = kill_the_busiest()
        await _until("all run again", all_run, client)
        killed_again_s = kill_the_busiest()
        elsewhere = await client.post("elsewhere", "steps", effects=1)
        await client.until_status([elsewhere], within_s=AGAIN_S)
        left_s = AGAIN_S - (time.monotonic() - killed_again_s)
        await _until("all run once more", all_run, client, within_s=left_s)
        assert killed_again_s - killed_s < AGAIN_S
        released.touch()
        await client.until_status(turns)
    await client.judge(disruptions=2)


async def _explained(client: Client, turn_ids: list[str], codes: dict[str, str]) -> None:
    """Writes down what explain says of the turns, until it is cancelled."""
    while True:
        for turn_id in turn_ids:
            found = (await client.get(f"/v1/turns/{turn_id}/explain")).json()
            codes.setdefault(found["code"], found["why"])
        await asyncio.sleep(0.05)


@BOTH_IN_FAULTS
@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit", "segv"])
@pytest.mark.scenario("F34 poison in company", "one of 65 kills its workers: it alone is parked, the others complete")
async def test_one_of_many_that_kills_its_workers_is_found_and_the_others_complete(
    how: str, idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    released, codes = tmp_path / "released", dict[str, str]()
    idle_fleet.begin_gateway()
    async with Supervisor(idle_fleet, 2) as workers:
        turns = [await client.post(f"held-{number}", "holds", effects=3, until=str(released)) for number in range(64)]
        explaining = asyncio.create_task(_explained(client, turns[::8], codes))
        poison = await client.post("poisoned", "dies", counter=str(tmp_path / "deaths"), how=how)

        parked = await client.until_status([poison], {"parked"}, within_s=360)  # 90 s are the last trial's wait
        released.touch()
        await client.until_status(turns, within_s=60)
        explaining.cancel()
        assert (await client.post_to(f"/v1/turns/{poison}/cancel")).status_code == 202
        await client.until_status([poison])

    assert parked[poison]["reason"] == "crashes_its_worker"
    assert (tmp_path / "deaths").stat().st_size == len(workers.deaths) <= DEATHS_MAX
    assert "may be what ends them" in codes["waiting_for_trial"]
    assert "on trial" in codes["on_trial"]
    await client.judge(disruptions=len(workers.deaths))


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario("F34 poison that wakes up", "a turn that kills its worker whenever it wakes up is parked")
async def test_one_that_kills_its_worker_whenever_it_wakes_up_is_found(
    idle_fleet: Fleet, client: Client, tmp_path: Path
) -> None:
    idle_fleet.begin_gateway()
    async with Supervisor(idle_fleet, 2) as workers:
        poison = await client.post("poisoned", "dies_after_nap", counter=str(tmp_path / "deaths"))
        parked = await client.until_status([poison], {"parked"}, within_s=90)

    assert parked[poison]["reason"] == "crashes_its_worker"
    assert len(workers.deaths) <= DEATHS_MAX
