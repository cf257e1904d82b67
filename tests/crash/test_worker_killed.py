"""A worker is killed -9 at each named point of a journey: nothing is lost, doubled or reordered (F7, F8, F33)."""

import asyncio

import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS

SESSIONS = 10
# The n-th time a point is reached, so that some turns are behind it, some in it and some before it.
AT_THE_LOG = ("after_poll:2", "before_accept:2", "after_accept:2")
# No log is asked at these: those of one are enough unless there is time.
AFTER_IT = ("after_effect:7", "in_step:9", "before_flush:4", "after_flush:4", "before_settle_seen:6")
BEFORE_ANYTHING = "before_effect:7"  # as in a step, with less done


async def _converse(client: Client, number: int) -> None:
    """One client of one session: each turn is sent when the one before was acknowledged."""
    session = f"session-{number}"
    await client.post(session, "steps", effects=2, n=2)
    if number % 3 == 0:
        waiting = await client.post(session, "waits", effects=2)
        await client.signal(waiting, "go", number)
    elif number % 3 == 1:
        await client.post(session, "stumbles", effects=1, fail_times=1)
    else:
        await client.post(session, "threads", effects=1)
    await client.post(session, "steps", effects=3, n=3)
    await client.post(session, "sleeps", effects=2, sleep_s=0.2)


@pytest.mark.parametrize(
    ("log_name", "crash_at"),
    [
        *(("kafka", each) for each in AT_THE_LOG),
        *(("postgres", each) for each in AFTER_IT),
        *(pytest.param("postgres", each, marks=pytest.mark.slow) for each in AT_THE_LOG),
        *(pytest.param("kafka", each, marks=pytest.mark.slow) for each in AFTER_IT),
        *(pytest.param(each, BEFORE_ANYTHING, marks=pytest.mark.slow) for each in ("postgres", "kafka")),
    ],
)
async def test_a_worker_killed_at_this_point_loses_doubles_and_reorders_nothing(
    crash_at: str, fleet: Fleet, client: Client
) -> None:
    doomed = fleet.worker(crash_at=crash_at)

    await asyncio.gather(*(_converse(client, number) for number in range(SESSIONS)))
    assert await asyncio.to_thread(doomed.wait_dead, 15) == -9
    await asyncio.to_thread(fleet.worker)

    await client.until_status(request.turn_id for request in client.requests if request.turn_id)
    await client.judge(disruptions=1)


@BOTH_IN_FAULTS
async def test_turns_that_wait_for_a_signal_still_wait_after_a_crash(fleet: Fleet, client: Client) -> None:
    first = fleet.worker()
    turns = [await client.post(f"session-{number}", "waits", effects=2) for number in range(20)]
    await client.until_status(turns, {"suspended"})

    first.kill()
    early = [await client.signal(turn, "go", "while nobody listens") for turn in turns[:10]]
    fleet.worker()
    late = [await client.signal(turn, "go", "when somebody does") for turn in turns[10:]]

    assert {*early, *late} <= {200, 202}
    await client.until_status(turns)
    await client.judge(disruptions=0)


@BOTH_IN_FAULTS
async def test_an_effect_that_must_not_be_repeated_parks_its_turn_when_a_crash_leaves_it_uncertain(
    fleet: Fleet, client: Client
) -> None:
    doomed = fleet.worker(crash_at="after_effect")
    turn = await client.post("session", "once")
    doomed.wait_dead(within_s=15)

    behind = await client.post("session", "steps")
    other = await client.post("other", "steps", effects=1)
    fleet.worker()

    await client.until_status([turn], {"parked"})
    await client.until_status([other])
    assert (await client.turn(behind))["status"] == "queued"
    assert sum(1 for effect in client.sink.effects() if effect.turn_id == turn) == 1
    await client.judge(disruptions=1, waiting=[turn, behind])


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_a_worker_killed_again_and_again_makes_progress_every_time(fleet: Fleet, client: Client) -> None:
    doomed = fleet.worker(crash_at="in_step:10")
    posting = asyncio.gather(*(_converse(client, number) for number in range(SESSIONS)))
    for _ in range(2):
        await asyncio.to_thread(doomed.wait_dead, 20)
        doomed = await asyncio.to_thread(fleet.begin_worker, crash_at="in_step:10")
    await posting
    doomed.kill()
    fleet.worker()

    await client.until_status(request.turn_id for request in client.requests if request.turn_id)
    await client.judge(disruptions=3)


@BOTH_IN_FAULTS
async def test_a_worker_told_to_end_finishes_what_it_runs_and_nothing_is_repeated(fleet: Fleet, client: Client) -> None:
    first = fleet.worker()
    turns = [await client.post(f"session-{number}", "dawdles", effects=1, step_s=0.5) for number in range(50)]

    assert await asyncio.to_thread(first.terminate) == 0
    await asyncio.to_thread(fleet.worker)

    await client.until_status(turns)
    await client.judge(disruptions=0)
