"""Thousands of rows fall due in one second: they are worked off as slots allow, and none of them hides another."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, hold_steps, until_reached
from tests.harness.fleet import Fleet

SLOTS = 4
POSTGRES = pytest.mark.parametrize("log_name", ["postgres"])


@pytest.fixture
async def truth(idle_fleet: Fleet) -> AsyncIterator[asyncpg.Connection]:
    """The fleet's database."""
    connection = await asyncpg.connect(
        idle_fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"}
    )
    yield connection
    await connection.close()


async def asleep(client: Client, truth: asyncpg.Connection, count: int, within_s: float = 30.0) -> None:
    """So many turns, in sessions of their own, that sleep for an hour."""
    for start in range(0, count, 5_000):
        names = [f"nap-{number}" for number in range(start, min(start + 5_000, count))]
        turns = [(name, {"workflow": "naps", "input": {"sleep_s": 3_600}}) for name in names]
        await client.batch(turns)
    await until_count(truth, "status = 'suspended' AND workflow = 'naps'", count, within_s)


async def until_count(truth: asyncpg.Connection, condition: str, count: int, within_s: float) -> None:
    """Waits until at least so many turns are as the condition says."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = await truth.fetchval(f"SELECT count(*) FROM turns WHERE {condition}")  # noqa: S608
        if found >= count:
            return
        assert time.monotonic() < deadline_s, f"after {within_s} s {found} of {count} turns are {condition}"
        await asyncio.sleep(0.1)


async def all_fall_due(truth: asyncpg.Connection) -> None:
    await truth.execute(
        "UPDATE inbox AS b SET due_at = now() FROM turns AS t"
        " WHERE b.kind = 'timer' AND b.name = 'sleep' AND b.state = 'due'"
        " AND t.turn_id = b.turn_id AND t.workflow = 'naps'"
    )


async def falls_due(truth: asyncpg.Connection, turn_id: str, name: str) -> None:
    await truth.execute("UPDATE inbox SET due_at = now() WHERE turn_id = $1::uuid AND name = $2", turn_id, name)


async def with_deadline(client: Client, session: str, deadline_s: float) -> str:
    body = {"workflow": "waits", "input": client.job(session), "deadline_s": deadline_s}
    request = await client.post_once(session, body)
    assert request.turn_id
    await client.until_status([request.turn_id], {"suspended"})
    return request.turn_id


@pytest.mark.slow
@POSTGRES
@pytest.mark.parametrize("settings", [{"DISPATCH_SLOTS": str(SLOTS)}])
async def test_cancels_deadlines_and_signals_take_effect_while_thousands_wait_for_the_slots(
    idle_fleet: Fleet, client: Client, latch: Latch, truth: asyncpg.Connection
) -> None:
    idle_fleet.start(1)
    await asleep(client, truth, 3_000)
    cancelled, ended = await with_deadline(client, "c", 3_600), await with_deadline(client, "d", 3_600)
    holders = await hold_steps(client, latch, [f"h{number}" for number in range(SLOTS - 1)])
    racing = await client.post("r", "holds_or_stops", until=latch.path)
    await until_reached(client.sink, [racing])
    await all_fall_due(truth)
    await asyncio.sleep(2.5)  # the worker has looked, and looked again

    await falls_due(truth, ended, "deadline")
    answer = await client.post_to(f"/v1/turns/{cancelled}/cancel")
    stopped = await client.post_to(f"/v1/turns/{holders[0]}/cancel")
    await falls_due(truth, racing, "sleep")

    assert (answer.status_code, stopped.status_code) == (202, 202)
    found = await client.until_status([cancelled, ended, holders[0], racing], within_s=3)
    assert [found[each]["status"] for each in (cancelled, ended, holders[0])] == ["cancelled", "expired", "cancelled"]
    assert found[racing]["result"] == "stopped"
    latch.release()
    await until_count(truth, "status = 'completed' AND workflow = 'naps'", 3_000, 30)


@pytest.mark.slow
@POSTGRES
@pytest.mark.timeout(600)
@pytest.mark.scenario(
    "F32 due at once", "100,000 timers in one second: all are worked off, and who cancels is not kept waiting"
)
async def test_a_hundred_thousand_timers_of_one_second_are_worked_off_and_keep_no_cancel_waiting(
    idle_fleet: Fleet, client: Client, truth: asyncpg.Connection
) -> None:
    idle_fleet.start(1)
    await asleep(client, truth, 100_000, within_s=180)
    cancelled, ended = await with_deadline(client, "c", 3_600), await with_deadline(client, "d", 3_600)
    await all_fall_due(truth)
    await until_count(truth, "status = 'completed' AND workflow = 'naps'", 1, 10)

    await falls_due(truth, ended, "deadline")
    await client.post_to(f"/v1/turns/{cancelled}/cancel")
    found = await client.until_status([cancelled, ended], within_s=3)
    is_under_way = await truth.fetchval("SELECT count(*) FROM turns WHERE status = 'suspended'")
    await until_count(truth, "status = 'completed' AND workflow = 'naps'", 100_000, 180)

    assert [found[each]["status"] for each in (cancelled, ended)] == ["cancelled", "expired"]
    assert is_under_way, "nothing was left to keep them waiting"
