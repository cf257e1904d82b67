"""A timer goes with what it was for: with its wait, however that ends, and with its turn, whoever ends it."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.crash.test_due_at_once import POSTGRES, truth
from tests.harness.client import Client
from tests.harness.fleet import Fleet

__all__ = ["truth"]

LEFT = "SELECT turn_id::text, name, state FROM inbox WHERE kind = 'timer'"
DAY_S = 86_400


async def post(client: Client, session: str, workflow: str, deadline_s: float, **job: object) -> str:
    body = {"workflow": workflow, "input": client.job(session, **job), "deadline_s": deadline_s}
    request = await client.post_once(session, body)
    assert request.turn_id
    return request.turn_id


async def until_timers(truth: asyncpg.Connection, turn: str, names: list[str], within_s: float = 10.0) -> None:
    """Returns when the turn has these timers and no others."""
    async with asyncio.timeout(within_s):
        while sorted(row[1] for row in await truth.fetch(LEFT) if row[0] == turn) != names:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@POSTGRES
@pytest.mark.parametrize("change", ["nothing", pytest.param("hand-over", marks=pytest.mark.slow), "crash"])
async def test_a_turn_has_the_timers_of_the_waits_that_it_is_in_and_no_others(
    idle_fleet: Fleet, client: Client, truth: asyncpg.Connection, change: str
) -> None:
    (worker,) = idle_fleet.start(1)
    turn = await post(client, "s", "races", DAY_S, n=4)
    await until_timers(truth, turn, ["deadline", "sleep"])

    for number in range(4):
        await client.signal(turn, "go", number)
        await until_timers(truth, turn, ["deadline", "sleep" if number < 3 else "signal"])
        if number == 1 and change != "nothing":
            await asyncio.to_thread(idle_fleet.worker)
            worker.kill() if change == "crash" else await asyncio.to_thread(worker.terminate)
    await client.signal(turn, "go", 4)
    ended = (await client.until_status([turn]))[turn]

    assert ended["result"] == {"payloads": [0, 1, 2, 3, 4]}
    assert await truth.fetch(LEFT) == []


@POSTGRES
async def test_whoever_ends_a_turn_its_timers_go_with_it(
    idle_fleet: Fleet, client: Client, truth: asyncpg.Connection
) -> None:
    """Deadlines, sleeps, timeouts of signals, waits between two tries, and the moment a delayed turn waits for."""
    idle_fleet.start(1)
    turns = [
        await post(client, "sleeps", "naps", DAY_S, sleep_s=DAY_S),
        await post(client, "waits", "waits", DAY_S, timeout_s=DAY_S),
        await post(client, "stumbles", "stumbles", DAY_S, fail_times=100),
        await post(client, "fast", "steps", DAY_S),
    ]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    delayed = await client.post_once(
        "delayed", {"workflow": "naps", "input": {}, "not_before": tomorrow, "deadline_s": DAY_S}
    )
    behind = await client.post_once("sleeps", {"workflow": "naps", "input": {"sleep_s": 1}, "deadline_s": DAY_S})
    await until_timers(truth, turns[0], ["deadline", "sleep"])
    await until_timers(truth, turns[1], ["deadline", "signal"])
    await until_timers(truth, str(delayed.turn_id), ["not_before"])

    open_turns = [*turns[:3], str(delayed.turn_id), str(behind.turn_id)]
    for each in open_turns:
        await client.post_to(f"/v1/turns/{each}/cancel")
    found = await client.until_status([*open_turns, turns[3]])

    assert [found[each]["status"] for each in open_turns] == ["cancelled"] * 5
    assert await truth.fetch(LEFT) == []
