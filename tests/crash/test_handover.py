"""Partitions change hands while steps run: nothing runs twice for it, and nothing waits for long (F14, F17)."""

import asyncio
import time

import pytest

from tests.checker.seen import History
from tests.harness.client import Client
from tests.harness.fleet import Fleet

SESSIONS = 12


async def start_slow_turns(client: Client, step_s: float, n: int = 1, workflow: str = "dawdles") -> list[str]:
    """Turns whose first step has had its effect, and runs on."""
    posts = (client.post(f"session-{i}", workflow, effects=n, n=n, step_s=step_s) for i in range(SESSIONS))
    turns = await asyncio.gather(*posts)
    await until_effects(client, SESSIONS)
    return turns


async def until_effects(client: Client, count: int) -> None:
    async with asyncio.timeout(20):
        while len(client.sink.effects()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def resets(history: History) -> int:
    return sum(event.type == "turn.reset" for read in history.reads.values() for event in read.events)


async def test_a_new_worker_takes_over_and_steps_in_flight_end_where_they_run(fleet: Fleet, client: Client) -> None:
    fleet.worker()
    turns = await start_slow_turns(client, step_s=2.5, n=2)

    newcomer = await asyncio.to_thread(fleet.worker)

    await client.until_status(turns)
    history = await client.judge()
    assert resets(history) == 0
    assert "partitions.claimed" in newcomer.tail()


async def test_a_worker_that_is_told_to_end_leaves_nothing_to_be_repeated(fleet: Fleet, client: Client) -> None:
    leaving, _ = fleet.worker(), fleet.worker()
    turns = await start_slow_turns(client, step_s=1.5, n=2)

    assert await asyncio.to_thread(leaving.terminate) == 0

    await client.until_status(turns)
    assert resets(await client.judge()) == 0


async def test_the_only_worker_lets_running_turns_end(fleet: Fleet, client: Client) -> None:
    leaving = fleet.worker()
    turns = await start_slow_turns(client, step_s=1, n=1)

    assert await asyncio.to_thread(leaving.terminate) == 0
    await asyncio.to_thread(fleet.worker)

    await client.until_status(turns)
    assert resets(await client.judge()) == 0


async def test_three_owners_in_a_row_while_a_step_runs(fleet: Fleet, client: Client) -> None:
    first = fleet.worker()
    turns = await start_slow_turns(client, step_s=6)

    second = await asyncio.to_thread(fleet.worker)
    third = await asyncio.to_thread(fleet.worker)
    leaving = asyncio.create_task(asyncio.to_thread(first.terminate))
    assert await asyncio.to_thread(second.terminate) == 0
    assert await leaving == 0

    await client.until_status(turns)
    assert resets(await client.judge()) == 0
    assert third.process.poll() is None


async def test_an_at_most_once_step_in_flight_through_a_hand_over_is_not_uncertain(
    fleet: Fleet, client: Client
) -> None:
    leaving, _ = fleet.worker(), fleet.worker()
    posts = (client.post(f"session-{i}", "once", effects=1, effect_s=2) for i in range(SESSIONS))
    turns = await asyncio.gather(*posts)
    await client.until_status(turns, {"running"})

    assert await asyncio.to_thread(leaving.terminate) == 0

    found = await client.until_status(turns, {"completed", "parked"})
    assert {turn["status"] for turn in found.values()} == {"completed"}
    await client.judge()


async def test_an_owner_that_dies_while_it_hands_over_is_not_waited_for(fleet: Fleet, client: Client) -> None:
    leaving, _ = fleet.worker(), fleet.worker()
    turns = await start_slow_turns(client, step_s=4)

    leaving.process.terminate()
    await asyncio.sleep(1.5)  # in the middle of the hand-over
    leaving.kill()

    await client.until_status(turns)
    assert resets(await client.judge(disruptions=1)) > 0


@pytest.mark.parametrize("partitions", [2])
async def test_a_step_that_does_not_end_in_time_runs_again_at_the_new_owner(fleet: Fleet, client: Client) -> None:
    bound = {"HANDOVER_S": "1"}
    leaving, _ = fleet.worker(**bound), fleet.worker(**bound)
    turns = await start_slow_turns(client, step_s=4)

    assert await asyncio.to_thread(leaving.terminate) == 0

    await client.until_status(turns)
    assert resets(await client.judge(disruptions=1)) > 0


@pytest.mark.parametrize("log_name", ["kafka", "postgres"])
async def test_running_turns_of_a_killed_worker_go_on_long_before_the_log_notices(
    log_name: str, fleet: Fleet, client: Client
) -> None:
    slow = {"KAFKA_GROUP_SESSION_TIMEOUT_MS": "30000", "LOG_LEASE_TTL_S": "30"}
    doomed, _ = fleet.worker(**slow), fleet.worker(**slow)
    turns = await start_slow_turns(client, step_s=2)

    doomed.kill()
    killed_s = time.monotonic()
    await client.until_status(turns, within_s=20)

    assert time.monotonic() - killed_s < 10
    assert resets(await client.judge(disruptions=1)) > 0
