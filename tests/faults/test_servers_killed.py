"""Postgres, the broker or a gateway is killed -9 while 100 steps run: no step runs again, and all goes on by itself."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.local.broker import Broker
from argosy.local.postgres import EmbeddedPostgres
from tests.conftest import fresh_database
from tests.harness import broker_nodes
from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.logs import KAFKA_ONLY
from tests.harness.owners import sessions_over

pytestmark = pytest.mark.slow

PARTITIONS = 8
STEPS = 104
AWAY_S = 2.0


@pytest.fixture
def own_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """One that may be killed."""
    with EmbeddedPostgres(folder / "postgres") as server:
        yield server


@pytest.fixture
def database(own_postgres: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(own_postgres.dsn) as dsn:
        yield dsn


@pytest.fixture
def own_broker(folder: Path) -> Iterator[Broker]:
    with Broker(folder / "broker", port=0) as started:
        yield started


@pytest.fixture
def broker(own_broker: Broker) -> str:
    return own_broker.bootstrap_servers


async def hold_steps(client: Client, latch: Latch) -> list[str]:
    """Turns over all partitions, each with a step in flight when this returns."""
    sessions = sessions_over(PARTITIONS, STEPS // PARTITIONS)
    turns = await asyncio.gather(*(client.post(name, "holds", effects=3, until=latch.path) for name in sessions))
    await until_reached(client.sink, turns, times=2, within_s=30)
    return list(turns)


async def end_without_repeating(fleet: Fleet, client: Client, latch: Latch, held: list[str]) -> None:
    """New turns run, the held ones end, and each step had its effect once, in attempt 1."""
    others = [await client.post(name, "steps", effects=1) for name in sessions_over(PARTITIONS, name="after")]
    await client.until_status(others)
    latch.release()
    await client.until_status(held)
    history = await client.judge(disruptions=0)
    effects = Counter((effect.turn_id, effect.step_key) for effect in history.effects)
    assert set(effects.values()) == {1}
    assert {event.attempt for read in history.reads.values() for event in read.events} == {1}
    await until_nothing_is_left(fleet)


def kill_and_start(server: EmbeddedPostgres) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    server.start()


@pytest.mark.scenario("Postgres killed -9, 100 steps", "comes back at once, thrice: no live step runs again")
async def test_postgres_that_is_killed_and_started_again_repeats_no_live_step(
    idle_fleet: Fleet, client: Client, latch: Latch, own_postgres: EmbeddedPostgres
) -> None:
    await asyncio.to_thread(idle_fleet.start, 2)
    held = await hold_steps(client, latch)

    for _ in range(3):
        await asyncio.to_thread(kill_and_start, own_postgres)
        await asyncio.sleep(AWAY_S)

    await end_without_repeating(idle_fleet, client, latch, held)


@KAFKA_ONLY
@pytest.mark.scenario("broker killed -9, 100 steps", "no live step runs again; goes on by itself")
async def test_a_broker_that_is_killed_and_started_again_repeats_no_live_step(
    idle_fleet: Fleet, client: Client, latch: Latch, own_broker: Broker
) -> None:
    await asyncio.to_thread(idle_fleet.start, 2)
    held = await hold_steps(client, latch)

    await asyncio.to_thread(broker_nodes.kill, own_broker, 1)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(own_broker.restart, 1)

    await end_without_repeating(idle_fleet, client, latch, held)


@pytest.mark.scenario("gateway killed -9, 100 steps", "no live step runs again; the next gateway serves everything")
async def test_a_gateway_that_is_killed_and_started_again_repeats_no_live_step(
    idle_fleet: Fleet, client: Client, latch: Latch
) -> None:
    await asyncio.to_thread(idle_fleet.start, 2)
    held = await hold_steps(client, latch)

    idle_fleet.processes[0].kill()
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(idle_fleet.gateway)

    await end_without_repeating(idle_fleet, client, latch, held)
