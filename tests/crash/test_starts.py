"""A turn that another turn started runs once, in its session's order, wherever the worker is killed in between, and
whoever owns its partition meanwhile.

Who writes a start here is a workflow of the tests (starting.py), through the product's own path: a row for another turn
in the memory of a running turn, which the worker's flusher writes with what that turn records. Until `ctx.child` comes
nobody else does.
"""

import asyncio
import json
import signal
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from argosy import ids, record
from argosy.record import TurnRequested
from tests.checker.seen import Request
from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.owners import sessions_over, until_shared
from tests.harness.sharded import SILENT_SOON, until_stopped

PARTITIONS = 8
# Counted from when the first starts are in the memory of the turn that asks for them.
AT = (
    "after_flush",
    "after_accept",
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in (
            "in_step",
            "before_flush",
            "before_accept",
            "before_settle_seen",
            "before_accept:2",
            "after_accept:2",
            "before_effect:4",
            "after_effect:4",
            "in_step:5",
            "before_flush:4",
            "after_flush:4",
            "before_settle_seen:4",
        )
    ),
)

pytestmark = BOTH_IN_FAULTS


@pytest.fixture
def settings() -> dict[str, str]:
    return {"ARGOSY_WORKFLOWS": f"{WORKFLOWS},{Path(__file__).with_name('starting.py')}"}


class Starter:
    """Posts turns that start others, and keeps what was started among the client's requests."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.children: list[str] = []
        self._asked_s = 0.0  # earlier than whatever is posted

    def child(self, session: str, *, is_alone: bool) -> dict[str, str]:
        """One that is to be started. is_alone: its session has only turns that one turn starts, in their order."""
        bucket = ids.bucket_of(ids.session_id_of("default", "default", session))
        turn_id = ids.TurnIdMint("default", "default").mint(bucket)
        job = json.dumps(self.client.job(session, n=2)).encode()
        asked = TurnRequested(turn_id.bytes, "default", "default", session, "steps", job)
        self._asked_s += 1
        sent_s, answered_s = (self._asked_s, self._asked_s + 0.5) if is_alone else (0.0, float("inf"))
        self.client.requests.append(Request(session, "", sent_s, answered_s, 202, str(turn_id), effects=2))
        self.children.append(str(turn_id))
        return {"turn_id": str(turn_id), "session": session, "record": record.encode(asked).hex()}

    async def post(self, name: str, children: list[dict[str, str]], latch: Latch | None = None) -> str:
        until: dict[str, Any] = {"until": latch.path} if latch else {}
        return await self.client.post(name, "starts", effects=3 if latch else 2, children=children, **until)

    async def converse(self, number: int) -> None:
        """A turn that starts some in a session of their own, and some in one that is posted to meanwhile."""
        own, shared = f"own-{number}", f"shared-{number}"
        children = [self.child(own, is_alone=True) for _ in range(5)]
        children += [self.child(shared, is_alone=False) for _ in range(3)]
        await self.client.post(shared, "steps", effects=1)
        await self.post(f"parent-{number}", children)
        for _ in range(3):
            await self.client.post(shared, "steps", effects=1)

    async def until_ended(self) -> None:
        """Those that start others end first: until then nobody but their code knows of the others."""
        posted = [each.turn_id for each in self.client.requests if each.turn_id and each.turn_id not in self.children]
        found = await self.client.until_status(posted) | await self.client.until_status(self.children)
        assert {each["status"] for each in found.values()} == {"completed"}


@pytest.fixture
def starter(client: Client) -> Starter:
    return Starter(client)


async def starts_left(fleet: Fleet) -> int:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        return int(await connection.fetchval("SELECT count(*) FROM argosy.starts"))
    finally:
        await connection.close()


@pytest.mark.parametrize("crash_at", AT)
@pytest.mark.scenario(
    "worker killed between a start and its end", "each started turn runs once, in its session's order"
)
async def test_a_worker_killed_at_this_point_loses_doubles_and_reorders_no_start(
    crash_at: str, fleet: Fleet, client: Client, starter: Starter
) -> None:
    doomed = fleet.worker(STARTS_CRASH_AT=crash_at)

    await asyncio.gather(*(starter.converse(number) for number in range(3)))
    assert await asyncio.to_thread(doomed.wait_dead, 15) == -9
    await asyncio.to_thread(fleet.worker)

    await starter.until_ended()
    assert await starts_left(fleet) == 0
    await client.judge(disruptions=1)


@pytest.mark.slow
@pytest.mark.scenario("partitions move while turns are started", "each started turn runs once; nothing is repeated")
async def test_starts_in_partitions_that_move_meanwhile_run_once(
    fleet: Fleet, client: Client, starter: Starter, latch: Latch
) -> None:
    first = fleet.worker()
    parents = []
    for name in sessions_over(PARTITIONS, name="parent"):
        children = [starter.child(f"{name}-{session}", is_alone=True) for session in range(10) for _ in range(3)]
        parents.append(await starter.post(name, children, latch))
    await until_reached(client.sink, parents, times=2)

    second = await asyncio.to_thread(fleet.begin_worker)
    await asyncio.to_thread(second.wait_ready)
    latch.release()
    third = await asyncio.to_thread(fleet.begin_worker)
    first.send(signal.SIGTERM)

    assert await asyncio.to_thread(first.wait_dead) == 0
    await asyncio.to_thread(third.wait_ready)
    await until_shared(client, [second, third], PARTITIONS)
    await starter.until_ended()
    assert await starts_left(fleet) == 0
    await client.judge(disruptions=0)


@pytest.mark.parametrize("stop_at", ["before_accept", pytest.param("after_accept", marks=pytest.mark.slow)])
@pytest.mark.scenario("worker stops in the accept of starts", "another one accepts them; the late one changes nothing")
async def test_a_worker_that_wakes_with_starts_in_hand_changes_nothing(
    stop_at: str, fleet: Fleet, client: Client, starter: Starter
) -> None:
    late = fleet.worker(STARTS_STOP_AT=stop_at, **SILENT_SOON)
    children = [starter.child(f"own-{number % 8}", is_alone=True) for number in range(24)]
    await starter.post(f"parent-{uuid.uuid4().hex[:8]}", children)
    await until_stopped(late)

    await asyncio.to_thread(fleet.worker, **SILENT_SOON)
    await starter.until_ended()
    late.send(signal.SIGCONT)
    after = [await client.post(f"own-{number}", "steps", effects=1) for number in range(8)]

    await client.until_status(after)
    assert await starts_left(fleet) == 0
    await client.judge(disruptions=1, stopped=[late.pid])
