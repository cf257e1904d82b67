"""A worker is cut off from Postgres alone, Postgres is away for long, one of three brokers dies: nothing is lost."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from argosy.local.broker import Broker
from tests.harness import broker_nodes
from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.logs import KAFKA_ONLY
from tests.harness.owners import owned_turns, sessions_over, until_shared
from tests.harness.processes import Managed, free_port
from tests.harness.tcp_proxy import PostgresProxy, Target, TcpProxy

pytestmark = [pytest.mark.slow, KAFKA_ONLY]

PARTITIONS = 8
# The log admits for so long and more: accepting is up to 6 s behind when all is well, and may be 20 s.
ADMITTED_S = 12.0
_SOON_SILENT = {"HEARTBEAT_INTERVAL_S": "0.5", "HEARTBEAT_TTL_S": "3", "OWNER_LOST_S": "2"}


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[PostgresProxy]:
    proxy = PostgresProxy(database)
    await proxy.allow()
    yield proxy
    await proxy.close()


@pytest.mark.parametrize("settings", [_SOON_SILENT])
@pytest.mark.parametrize("how", ["refuse", "hold"])
@pytest.mark.scenario("F52 worker cut off from Postgres", "partitions move; what it says late is not taken; it rejoins")
async def test_a_worker_that_is_cut_off_from_postgres_alone_loses_its_partitions_and_rejoins(
    idle_fleet: Fleet, client: Client, latch: Latch, proxy: PostgresProxy, how: str
) -> None:
    (whole,) = await asyncio.to_thread(idle_fleet.start, 1)
    cut = await asyncio.to_thread(idle_fleet.worker, STATE_DB_URI=proxy.dsn)
    await until_shared(client, [whole, cut], PARTITIONS)
    names = sessions_over(PARTITIONS, each=2)
    turns = await asyncio.gather(*(client.post(name, "holds", effects=3, until=latch.path) for name in names))
    await until_reached(client.sink, turns, times=2)
    moving = await owned_turns(client, cut, turns, PARTITIONS)

    if how == "refuse":
        await proxy.refuse()
    else:
        proxy.hold()
    await until_shared(client, [whole], PARTITIONS, within_s=20)
    others = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS, name="meanwhile")]
    await client.until_status(others)
    await until_reached(client.sink, moving, times=3)  # the held steps run again
    latch.release()
    await client.until_status(turns)
    await proxy.allow()
    await until_shared(client, [whole, cut], PARTITIONS, within_s=30)

    after = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS, name="after")]
    await client.until_status(after)
    await client.judge(disruptions=1, repeatable=moving)
    await until_nothing_is_left(idle_fleet)


class TestCutOffFromKafka:
    @pytest.fixture
    async def way(self, folder: Path) -> AsyncIterator[tuple[Broker, TcpProxy]]:
        """A broker, and a way to it that can be cut."""
        port = free_port()
        broker = Broker(folder, port=0, proxy_port=port)
        await asyncio.to_thread(broker.start)
        proxy = TcpProxy(Target("127.0.0.1", broker.second_port), port)
        await proxy.allow()
        yield broker, proxy
        await proxy.close()
        await asyncio.to_thread(broker.stop)

    @pytest.fixture
    def broker(self, way: tuple[Broker, TcpProxy]) -> str:
        return way[0].bootstrap_servers

    @pytest.mark.parametrize("how", ["refuse", "hold"])
    @pytest.mark.scenario(
        "F52 worker cut off from Kafka", "partitions move in an orderly way; no step repeated; it rejoins"
    )
    async def test_a_worker_that_is_cut_off_from_kafka_alone_hands_over_and_rejoins(
        self, idle_fleet: Fleet, client: Client, latch: Latch, way: tuple[Broker, TcpProxy], how: str
    ) -> None:
        proxy = way[1]
        (whole,) = await asyncio.to_thread(idle_fleet.start, 1)
        cut = await asyncio.to_thread(idle_fleet.worker, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{proxy.port}")
        await until_shared(client, [whole, cut], PARTITIONS)
        names = sessions_over(PARTITIONS, each=2)
        held = await asyncio.gather(*(client.post(name, "holds", effects=3, until=latch.path) for name in names))
        waiting = [await client.post(name, "waits", effects=2) for name in sessions_over(PARTITIONS, name="waits")]
        await until_reached(client.sink, held, times=2)
        await client.until_status(waiting, {"suspended"})

        if how == "refuse":
            await proxy.refuse()
        else:
            proxy.hold()
        for turn in waiting:
            assert await client.signal(turn, "go", 1) == 202
        await client.until_status(waiting)  # what is known is served by whoever owns it
        await until_shared(client, [whole], PARTITIONS, within_s=20)
        claims = await total_of(whole, cut)
        others = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS, name="meanwhile")]
        await client.until_status(others)
        assert await total_of(whole, cut) == claims, "they take the partitions from each other"
        latch.release()
        await client.until_status(held)
        await proxy.allow()
        await until_shared(client, [whole, cut], PARTITIONS, within_s=30)

        after = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS, name="after")]
        await client.until_status(after)
        history = await client.judge(disruptions=0)
        assert {event.attempt for read in history.reads.values() for event in read.events} == {1}
        await until_nothing_is_left(idle_fleet)


async def total_of(*workers: Managed) -> float:
    """Claims so far."""
    return sum([await asyncio.to_thread(worker.metric, "argosy_claims_total") for worker in workers])


@pytest.fixture
def outage_s(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--outage-s"))


@pytest.mark.timeout(800)
@pytest.mark.parametrize("settings", [{"OWNER_LOST_S": "10", "GATEWAY_LAG_MAX_S": "20"}])
@pytest.mark.scenario(
    "F20 Postgres away (--outage-s)", "202 up to the lag bound, then 503; the backlog drains in order"
)
async def test_postgres_away_for_long_lets_the_log_admit_and_the_backlog_drains_in_order(
    idle_fleet: Fleet, client: Client, proxy: PostgresProxy, outage_s: float
) -> None:
    idle_fleet.environment["STATE_DB_URI"] = proxy.dsn
    await asyncio.to_thread(idle_fleet.start, 2)
    await client.until_status([await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS)])

    await proxy.refuse()
    statuses: list[int] = []
    began_s = time.monotonic()
    while time.monotonic() < began_s + outage_s:
        number = len(statuses)
        name = f"load-{number % 20}"
        body = {"workflow": "steps", "input": client.job(name, n=1)}
        statuses.append((await client.post_once(name, body, f"key-{number}", 1)).status)
        if time.monotonic() < began_s + ADMITTED_S:
            admitted = len(statuses)
        await asyncio.sleep(0.1)
    await proxy.allow()
    back_s = time.monotonic()

    assert set(statuses[:admitted]) == {202}
    assert set(statuses[-len(statuses) // 4 :]) == {503}
    await client.until_status((request.turn_id for request in client.requests if request.turn_id), within_s=60)
    drained_s = time.monotonic() - back_s
    print(f"away for {outage_s:.0f} s: {Counter(statuses)}; all had ended {drained_s:.1f} s after it was back")
    await client.judge(disruptions=0)
    await until_nothing_is_left(idle_fleet)


class TestThreeBrokers:
    @pytest.fixture
    def brokers(self, folder: Path) -> Iterator[Broker]:
        with Broker(folder, nodes=3, port=0) as started:
            yield started

    @pytest.fixture
    def broker(self, brokers: Broker) -> str:
        return brokers.bootstrap_servers

    @pytest.mark.timeout(300)
    @pytest.mark.scenario("F4, F6 one of three brokers killed -9", "under load: every 202 survives, order kept")
    async def test_each_of_three_brokers_killed_in_turn_loses_and_reorders_nothing(
        self, idle_fleet: Fleet, client: Client, brokers: Broker
    ) -> None:
        await asyncio.to_thread(idle_fleet.start, 2)
        is_over = asyncio.Event()

        async def converse(number: int) -> list[str]:
            turns = []
            while not is_over.is_set():
                turns.append(await client.post(f"session-{number}", "steps", effects=1))
                await asyncio.sleep(0.1)
            return turns

        posting = asyncio.gather(*map(converse, range(40)))
        for node in (1, 2, 3):
            await asyncio.sleep(2)
            await asyncio.to_thread(broker_nodes.kill, brokers, node)
            await asyncio.sleep(3)
            await asyncio.to_thread(brokers.restart, node)
        is_over.set()
        turns = [turn for conversation in await posting for turn in conversation]

        await client.until_status(turns, within_s=60)
        print(f"{len(turns)} turns")
        await client.judge(disruptions=3)
        await until_nothing_is_left(idle_fleet)
