"""Restarts, scale-ups and scale-downs in an orderly way, under load and during long steps: nobody notices."""

import asyncio
import signal
import time

import pytest

from tests.checker.sink import Sink
from tests.harness.client import Client
from tests.harness.effects import until_reached
from tests.harness.fleet import Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.logs import KAFKA_ONLY
from tests.harness.owners import sessions_over, until_shared
from tests.harness.processes import Managed, free_port

pytestmark = pytest.mark.slow

PARTITIONS = 8
STORM_S, STAYS_S = 30, 2.0
GUESTS_MAX = 5  # at once, on a slow machine: a hundred connections is all that Postgres has


class Load:
    """Posts `per_s` turns a second over many sessions, each session its next when the one before was acknowledged."""

    def __init__(self, client: Client, per_s: float, sessions: int) -> None:
        self._client = client
        self._pause_s = sessions / per_s
        self._sessions = sessions
        self._is_over = asyncio.Event()
        self.turns: list[str] = []

    async def __aenter__(self) -> "Load":
        self._posting = asyncio.gather(*(self._converse(number) for number in range(self._sessions)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over.set()
        await self._posting

    async def _converse(self, number: int) -> None:
        await asyncio.sleep(self._pause_s * number / self._sessions)
        body = {"workflow": "steps", "input": self._client.job(f"load-{number}", n=2)}
        while not self._is_over.is_set():
            next_s = time.monotonic() + self._pause_s
            request = await self._client.post_once(f"load-{number}", body, f"{number}/{len(self.turns)}", effects=2)
            assert request.turn_id is not None, f"a client's call failed: {request.status}"
            self.turns.append(request.turn_id)
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))


async def _replace(fleet: Fleet, old: Managed, **settings: str) -> Managed:
    """As an orchestrator does: the new one is ready before the old one is told to end."""
    new = await asyncio.to_thread(fleet.worker, **settings)
    assert await asyncio.to_thread(old.terminate) == 0
    return new


@pytest.mark.scenario(
    "F14 rolling restart, 300 turns/s", "no call fails beyond one retry; no step repeated; order kept"
)
async def test_a_rolling_restart_of_everything_under_load_is_not_noticed(idle_fleet: Fleet, sink: Sink) -> None:
    workers = idle_fleet.start(3)
    ports = [idle_fleet.port, free_port()]
    gateways = [idle_fleet.processes[0], idle_fleet.gateway(PORT=str(ports[1]))]
    client = Client(f"http://127.0.0.1:{ports[0]}", sink, f"http://127.0.0.1:{ports[1]}", is_retrying=True)
    long_steps = [await client.post(name, "dawdles", effects=3, n=3, step_s=6) for name in sessions_over(PARTITIONS)]

    async with Load(client, per_s=300, sessions=150) as load:
        await asyncio.sleep(2)
        for number, worker in enumerate(workers):
            workers[number] = await _replace(idle_fleet, worker)
        for gateway, port in zip(gateways, ports, strict=True):
            assert await asyncio.to_thread(gateway.terminate) == 0
            await asyncio.to_thread(idle_fleet.gateway, PORT=str(port))
        await asyncio.sleep(2)

    await client.until_status([*long_steps, *load.turns], within_s=60)
    print(f"{len(load.turns)} turns, {client.retried} calls were retried")
    await client.judge(disruptions=0)
    await until_nothing_is_left(idle_fleet)
    await client.close()


@pytest.mark.scenario("1 → 4 → 1 workers, twice", "under load: no step repeated, order kept, nothing left")
async def test_a_fleet_that_grows_and_shrinks_twice_under_load_repeats_nothing(
    idle_fleet: Fleet, client: Client
) -> None:
    (first,) = idle_fleet.start(1)

    async with Load(client, per_s=150, sessions=100) as load:
        for _ in range(2):
            more = await asyncio.to_thread(idle_fleet.workers, 3)
            await until_shared(client, [first, *more], PARTITIONS)
            await asyncio.sleep(2)
            for worker in more:
                assert await asyncio.to_thread(worker.terminate) == 0
            await until_shared(client, [first], PARTITIONS)
            await asyncio.sleep(1)

    await client.until_status(load.turns, within_s=60)
    await client.judge(disruptions=0)
    await until_nothing_is_left(idle_fleet)


@pytest.mark.timeout(240)
@pytest.mark.scenario(
    "rebalance storm", "a worker joins and one leaves every second for 30 s: no step repeated, none stuck"
)
async def test_workers_that_join_and_leave_every_second_under_load_repeat_and_lose_nothing(
    idle_fleet: Fleet, sink: Sink
) -> None:
    (stays,) = idle_fleet.start(1)
    client = Client(idle_fleet.url, sink, is_retrying=True)
    long_steps = [await client.post(name, "dawdles", effects=4, n=4, step_s=6) for name in sessions_over(PARTITIONS)]
    await until_reached(client.sink, long_steps)
    leaving: list[asyncio.Task[int]] = []

    places = asyncio.Semaphore(GUESTS_MAX)

    async def come_and_go() -> int:
        async with places:
            worker = await asyncio.to_thread(idle_fleet.worker)
            await asyncio.sleep(STAYS_S)
            return await asyncio.to_thread(worker.terminate, 60)

    async with Load(client, per_s=60, sessions=100) as load:
        for _ in range(STORM_S):
            leaving.append(asyncio.create_task(come_and_go()))
            await asyncio.sleep(1)
        codes = await asyncio.gather(*leaving)

    assert set(codes) == {0}
    await until_shared(client, [stays], PARTITIONS)
    await client.until_status([*long_steps, *load.turns], within_s=60)
    print(f"{len(load.turns)} turns; {stays.metric('argosy_claims_total'):.0f} claims by the one that stays")
    history = await client.judge(disruptions=0)
    assert {event.attempt for read in history.reads.values() for event in read.events} == {1}
    await until_nothing_is_left(idle_fleet)
    await client.close()


@KAFKA_ONLY
@pytest.mark.timeout(600)
@pytest.mark.scenario(
    "F13 6-minute step", "no rebalance by itself; not repeated when a worker comes and its own is told to go"
)
async def test_a_step_longer_than_the_longest_pause_between_polls_causes_no_rebalance(
    idle_fleet: Fleet, client: Client
) -> None:
    (first,) = idle_fleet.start(1)
    turns = [await client.post(name, "dawdles", effects=1, step_s=365) for name in sessions_over(PARTITIONS)]
    await until_reached(client.sink, turns)
    rebalances = first.metric("argosy_rebalances_total")

    await asyncio.sleep(330)  # max.poll.interval.ms is 300 s
    assert first.metric("argosy_rebalances_total") == rebalances
    second = await asyncio.to_thread(idle_fleet.worker)
    await until_shared(client, [first, second], PARTITIONS)
    first.send(signal.SIGTERM)

    await client.until_status(turns, within_s=60)
    assert await asyncio.to_thread(first.wait_dead) == 0
    history = await client.judge(disruptions=0)
    assert {event.attempt for read in history.reads.values() for event in read.events} == {1}


@pytest.mark.scenario("rolling restart in 8-second steps", "each step ends where it began; same attempt")
async def test_workers_that_come_and_go_during_long_steps_repeat_none(idle_fleet: Fleet, client: Client) -> None:
    (worker,) = idle_fleet.start(1)
    names = sessions_over(PARTITIONS, each=4)
    turns = [await client.post(name, "dawdles", effects=3, n=3, step_s=8) for name in names]
    await until_reached(client.sink, turns)

    for _ in range(3):
        worker = await _replace(idle_fleet, worker)

    await client.until_status(turns, within_s=60)
    history = await client.judge(disruptions=0)
    assert {event.attempt for read in history.reads.values() for event in read.events} == {1}
