"""The wall clock of one process is wrong, or steps by an hour while it runs: nothing fires early, late or twice."""

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import need
from tests.harness.client import Client
from tests.harness.effects import until_reached
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.owners import owned_turns, sessions_over, until_shared
from tests.harness.processes import ROOT, Managed
from tests.harness.stepped_clock import SteppedClock

# Kafka's client waits by the C library's cnd_timedwait, which libfaketime does not know: it would wait by another clock
# than it reads. What is to be shown here is ours, and the same on both logs.
POSTGRES_ONLY = pytest.mark.parametrize("log_name", ["postgres"])
CLOCK_WORKFLOWS = ROOT / "tests" / "faults" / "clock_workflows.py"
pytestmark = [
    pytest.mark.slow,
    POSTGRES_ONLY,
    pytest.mark.parametrize("settings", [{"ARGOSY_WORKFLOWS": f"{WORKFLOWS},{CLOCK_WORKFLOWS}"}]),
]

PARTITIONS = 8
HOUR_S = 3_600
TIMER_S, EXPIRED_S = 5.0, 2.0
EARLY_S, LATE_S = 0.1, 3.0  # late on a busy machine


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    clock = SteppedClock(tmp_path / "clock")
    need(clock.is_possible, "libfaketime")
    return clock


class Timers:
    """Turns that wait for time in every way there is, each kind in every partition."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.lasting_s: dict[str, float] = {}  # turn → how long it has to take
        self.waiting: list[str] = []
        self.stumbling: list[str] = []

    async def post(self, number: int) -> None:
        for kind, wait_s, body, job in (
            ("sleeps", TIMER_S, {"deadline_s": 4 * TIMER_S}, {"sleep_s": TIMER_S}),
            ("waits", TIMER_S, {}, {"timeout_s": TIMER_S}),
            ("dawdles", TIMER_S, {"deadline_s": 4 * TIMER_S}, {"step_s": TIMER_S}),
            ("sleeps", EXPIRED_S, {"deadline_s": EXPIRED_S}, {"sleep_s": 2 * TIMER_S}),
        ):
            turns = await self._post(kind, f"{kind}-{wait_s}-{number}", body, job)
            self.lasting_s |= dict.fromkeys(turns, wait_s)
        self.waiting = await self._post("waits", f"waits-{number}", {}, {})
        self.stumbling += await self._post("stumbles", f"stumbles-{number}", {}, {"fail_times": 4})

    async def _post(self, kind: str, name: str, body: dict[str, Any], job: dict[str, Any]) -> list[str]:
        turns = []
        for session in sessions_over(PARTITIONS, name=name):
            content = {"workflow": kind, "input": self._client.job(session, **job), **body}
            request = await self._client.post_once(session, content, uuid.uuid4().hex)
            assert request.turn_id is not None, request
            turns.append(request.turn_id)
        return turns

    async def until_ended(self) -> None:
        await self._client.until_status([*self.lasting_s, *self.waiting, *self.stumbling])


async def fetch(fleet: Fleet, statement: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def epochs(fleet: Fleet) -> dict[int, int]:
    return {row[0]: row[1] for row in await fetch(fleet, "SELECT partition, epoch FROM argosy.partitions")}


async def until_stepped(client: Client, worker: Managed, clock: SteppedClock) -> None:
    """Returns when steps of this worker see the time that the clock shows."""
    deadline_s = time.monotonic() + 20
    while True:
        turns = [await client.post(name, "reads_clocks") for name in sessions_over(PARTITIONS, name="clock")]
        read = await client.until_status(turns)
        for turn in turns:
            assert abs(read[turn]["result"]["now"] - time.time()) < 10, "ctx.now() is not the database's time"
        mine = await owned_turns(client, worker, turns, PARTITIONS)
        if mine and all(clock.is_shown_by(read[turn]["result"]["wall"]) for turn in mine):
            return
        assert time.monotonic() < deadline_s, read
        await asyncio.sleep(0.2)


async def judge_durations(fleet: Fleet, lasting_s: dict[str, float]) -> None:
    """By the database's clock, which was right all the time. A turn's wait begins between its acceptance and the flush
    that says that it has started, which a busy machine brings later: so a turn that ends early has lasted too short
    since it was accepted, and one that ends late too long since it started.
    """
    took = await fetch(
        fleet,
        "SELECT turn_id::text, status, extract(epoch FROM ended_at - accepted_at)::float AS at_most_s,"
        " extract(epoch FROM ended_at - started_at)::float AS at_least_s FROM argosy.turns"
        " WHERE turn_id = ANY ($1::uuid[])",
        list(lasting_s),
    )
    assert len(took) == len(lasting_s)
    early = [tuple(row) for row in took if row["at_most_s"] < lasting_s[row["turn_id"]] - EARLY_S]
    late = [tuple(row) for row in took if row["at_least_s"] > lasting_s[row["turn_id"]] + LATE_S]
    assert (early, late) == ([], [])


@pytest.mark.timeout(180)
@pytest.mark.scenario("F46 clock of a worker steps by ±1 h", "timers, retries, deadlines, leases: as if it had not")
async def test_a_worker_whose_clock_steps_while_it_runs_does_everything_when_it_is_due(
    idle_fleet: Fleet, client: Client, clock: SteppedClock
) -> None:
    await asyncio.to_thread(idle_fleet.start, 1)
    stepped = await asyncio.to_thread(idle_fleet.worker, **clock.environment)
    await until_shared(client, [*idle_fleet.processes[1:2], stepped], PARTITIONS)
    timers, epochs_before = Timers(client), await epochs(idle_fleet)

    for number, ahead_s in enumerate((HOUR_S, -HOUR_S, 0)):
        await timers.post(number)
        await until_reached(client.sink, timers.waiting)
        clock.step(ahead_s)
        await until_stepped(client, stepped, clock)
        for turn in timers.waiting:
            assert await client.signal(turn, "go", number) == 202
        await timers.until_ended()

    await judge_durations(idle_fleet, timers.lasting_s)
    assert await epochs(idle_fleet) == epochs_before
    await client.judge(disruptions=0)
    await until_nothing_is_left(idle_fleet, within_s=4 * TIMER_S + LATE_S)  # a deadline's timer goes when it is due


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S], ids=["fast", "slow"])
@pytest.mark.scenario("F46 worker that starts with a wrong clock", "takes part as any other; a join repeats no step")
async def test_a_worker_whose_clock_is_wrong_from_the_start_takes_part_as_any_other(
    idle_fleet: Fleet, client: Client, clock: SteppedClock, ahead_s: int
) -> None:
    (right,) = await asyncio.to_thread(idle_fleet.start, 1)
    clock.step(ahead_s)
    held = [await client.post(name, "dawdles", effects=2, n=2, step_s=4) for name in sessions_over(PARTITIONS)]
    await until_reached(client.sink, held)

    wrong = await asyncio.to_thread(idle_fleet.worker, **clock.environment)
    await until_shared(client, [right, wrong], PARTITIONS)
    await asyncio.sleep(6)  # an idle partition says every 5 s how far in time it is accepted
    through = await fetch(
        idle_fleet, "SELECT extract(epoch FROM now() - accepted_through)::float FROM argosy.positions"
    )
    timers = Timers(client)
    await timers.post(0)
    await until_stepped(client, wrong, clock)
    for turn in timers.waiting:
        assert await client.signal(turn, "go", 0) == 202
    assert await asyncio.to_thread(right.terminate) == 0
    await timers.until_ended()

    assert all(0 <= row[0] < 30 for row in through), through
    await client.until_status(held)
    await judge_durations(idle_fleet, timers.lasting_s)
    history = await client.judge(disruptions=0)
    assert {event.attempt for read in history.reads.values() for event in read.events} == {1}
    await until_nothing_is_left(idle_fleet)


@pytest.mark.scenario("F46 clock of a gateway steps by ±1 h", "what it admits runs, and its pokes are heard")
async def test_a_gateway_whose_clock_steps_admits_and_signals_as_before(
    idle_fleet: Fleet, client: Client, clock: SteppedClock
) -> None:
    (worker,) = await asyncio.to_thread(idle_fleet.workers, 1)
    await asyncio.to_thread(idle_fleet.gateway, **clock.environment)
    timers = Timers(client)

    for number, ahead_s in enumerate((HOUR_S, -HOUR_S, 0)):
        clock.step(ahead_s)
        await asyncio.sleep(1.5)
        await timers.post(number)
        await until_reached(client.sink, timers.waiting)
        heard = worker.metric("argosy_pokes_total")
        for turn in timers.waiting:
            assert await client.signal(turn, "go", number) == 202
        await timers.until_ended()
        assert worker.metric("argosy_pokes_total") > heard
        assert worker.metric("argosy_calls_refused_total") == 0

    await judge_durations(idle_fleet, timers.lasting_s)
    await client.judge(disruptions=0)
    await until_nothing_is_left(idle_fleet)
