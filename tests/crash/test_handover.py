"""Partitions change hands in an orderly way while steps run: nothing is repeated, and nothing waits that need not.

The steps in flight are `hold`: they end when the test releases them, so it is known what ran during what.
"""

import asyncio
import signal

import pytest

from tests.checker.seen import History
from tests.checker.tell import told
from tests.harness.client import Client
from tests.harness.effects import Latch, hold_steps, until_reached
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS, KAFKA_FIRST
from tests.harness.owners import owned_turns, sessions_over, until_shared
from tests.harness.processes import Managed, stopped

PARTITIONS = 8
_SOON_SILENT = {"HEARTBEAT_INTERVAL_S": "0.3", "HEARTBEAT_TTL_S": "1.5"}


async def _hold_steps(client: Client, latch: Latch, workflow: str = "holds", each: int = 2) -> list[str]:
    """Turns in every partition; each has a step in flight when this returns."""
    return await hold_steps(client, latch, sessions_over(PARTITIONS, each, workflow), workflow)


async def _begin_hand_over(fleet: Fleet, client: Client, latch: Latch) -> tuple[Managed, Managed, list[str]]:
    """A worker with steps in flight in every partition, another one that has taken over half of them; the turns."""
    (first,) = fleet.start(1)
    turns = await _hold_steps(client, latch)
    second = await asyncio.to_thread(fleet.worker)
    await until_shared(client, [first, second], PARTITIONS)
    return first, second, turns


async def _run_others(client: Client, name: str) -> None:
    """Turns of other sessions of all partitions are served at once."""
    others = [await client.post(each, "steps", effects=1) for each in sessions_over(PARTITIONS, name=name)]
    await client.until_status(others, within_s=10)


async def _judge_unrepeated(client: Client) -> None:
    """Nothing ran again."""
    history = await client.judge(disruptions=0)
    assert _reset(history) == set()


def _reset(history: History) -> set[str]:
    """Turns that announced that they ran again."""
    return {read.turn_id for read in history.reads.values() if any(e.type == "turn.reset" for e in read.events)}


@KAFKA_FIRST
@pytest.mark.scenario("F13 scale-up in a step", "result comes from the old owner, same attempt, no turn.reset")
async def test_steps_in_flight_are_not_repeated_when_a_worker_is_added(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (first,) = idle_fleet.start(1)
    turns = await _hold_steps(client, latch)
    turns += await _hold_steps(client, latch, "holds_once", each=1)

    second = await asyncio.to_thread(idle_fleet.worker)
    await until_shared(client, [first, second], PARTITIONS)
    await _run_others(client, "meanwhile")
    latch.release()

    await client.until_status(turns)
    await _judge_unrepeated(client)


@pytest.mark.slow
@KAFKA_FIRST
@pytest.mark.scenario("F13 three owners in a step", "result of the first owner reaches the third, same attempt")
async def test_the_outcome_of_a_step_follows_its_turn_over_two_more_owners(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (first,) = idle_fleet.start(1)
    turns = await _hold_steps(client, latch)

    second = await asyncio.to_thread(idle_fleet.worker)
    first.send(signal.SIGTERM)
    await until_shared(client, [second], PARTITIONS)
    third = await asyncio.to_thread(idle_fleet.worker)
    assert await asyncio.to_thread(second.terminate) == 0
    await until_shared(client, [third], PARTITIONS)
    await _run_others(client, "meanwhile")
    assert first.process.poll() is None
    latch.release()

    assert await asyncio.to_thread(first.wait_dead) == 0
    await client.until_status(turns)
    await _judge_unrepeated(client)


@pytest.mark.slow
@BOTH_IN_FAULTS
@pytest.mark.scenario("hand-over, old owner killed", "its steps run again: same key, attempt + 1, turn.reset")
async def test_steps_of_an_old_owner_that_dies_during_the_hand_over_run_again(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, _, turns = await _begin_hand_over(idle_fleet, client, latch)

    first.kill()
    took_s = await until_reached(client.sink, turns, times=3)
    latch.release()

    await client.until_status(turns)
    history = await client.judge(disruptions=1, repeatable=turns)
    assert _reset(history) == set(turns)
    assert took_s < 3


@pytest.mark.slow
@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.scenario("hand-over, old owner stopped", "its steps run again; what it says when it wakes up is not taken")
async def test_steps_of_an_old_owner_that_stops_during_the_hand_over_run_again(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    first, _, turns = await _begin_hand_over(idle_fleet, client, latch)

    with stopped(first):
        await until_reached(client.sink, turns, times=3)
        latch.release()
        await client.until_status(turns)
    await _run_others(client, "after")

    history = await client.judge(disruptions=1, repeatable=turns)
    assert _reset(history) == set(turns)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"HANDOVER_S": "2"}])
@pytest.mark.scenario("hand-over, HANDOVER_S passes", "the step runs again elsewhere; the late result is not taken")
async def test_a_step_that_outlasts_the_bound_of_a_hand_over_runs_again(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    _, second, turns = await _begin_hand_over(idle_fleet, client, latch)
    moved = await owned_turns(client, second, turns, PARTITIONS)

    await until_reached(client.sink, moved, times=3)
    latch.release()

    await client.until_status(turns)
    history = await client.judge(disruptions=1, repeatable=moved)
    assert _reset(history) == moved


@BOTH_IN_FAULTS
@pytest.mark.scenario("F17 drain races recovery", "one runner each; only the killed worker's steps run again")
async def test_a_worker_that_drains_while_another_is_killed_keeps_its_steps(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    draining, doomed, third = workers = idle_fleet.start(3)
    await until_shared(client, workers, PARTITIONS)
    turns = await _hold_steps(client, latch)
    hit = await owned_turns(client, doomed, turns, PARTITIONS)

    doomed.kill()  # first: it could be handed turns of the other one in its last moment, which would run again, too
    draining.send(signal.SIGTERM)
    await until_reached(client.sink, hit, times=3)
    await until_shared(client, [third], PARTITIONS)
    latch.release()

    assert await asyncio.to_thread(draining.wait_dead) == 0
    await client.until_status(turns)
    history = await client.judge(disruptions=1, repeatable=hit)
    assert _reset(history) == hit, told(history, sorted(_reset(history) ^ hit))


@BOTH_IN_FAULTS
@pytest.mark.scenario(
    "SIGTERM of the only worker", "its running step ends there, also when another worker comes meanwhile"
)
async def test_the_only_worker_told_to_end_finishes_its_steps_also_when_company_comes(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    (first,) = idle_fleet.start(1)
    turns = await _hold_steps(client, latch)

    first.send(signal.SIGTERM)
    await asyncio.to_thread(idle_fleet.worker)
    await asyncio.sleep(0.5)  # whoever would take the turns away has had the time to
    latch.release()

    assert await asyncio.to_thread(first.wait_dead) == 0
    await client.until_status(turns)
    await client.judge(disruptions=0)
