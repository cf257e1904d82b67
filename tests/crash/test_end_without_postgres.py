"""A worker is told to end while Postgres is away: it ends within its bound, says so, and nothing is lost."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest

from tests.harness.client import Client
from tests.harness.effects import Latch, hold_steps
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.owners import sessions_over
from tests.harness.tcp_proxy import PostgresProxy

PARTITIONS = 8
DRAIN_S, WRITE_S, END_S = 1.0, 2.0, 10.0
SLACK_S = 5.0  # of a busy machine


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[PostgresProxy]:
    proxy = PostgresProxy(database)
    await proxy.allow()
    yield proxy
    await proxy.close()


@BOTH_IN_FAULTS
@pytest.mark.parametrize("how", ["refused", pytest.param("silent", marks=pytest.mark.slow)])
@pytest.mark.scenario("SIGTERM while Postgres is away", "ends within DRAIN_TIMEOUT_S + DRAIN_WRITE_S; turns go on")
async def test_a_worker_ends_in_time_while_postgres_is_away_and_its_turns_go_on_elsewhere(
    idle_fleet: Fleet, client: Client, latch: Latch, proxy: PostgresProxy, how: str
) -> None:
    idle_fleet.gateway()
    settings = {"STATE_DB_URI": proxy.dsn, "DRAIN_TIMEOUT_S": str(DRAIN_S), "DRAIN_WRITE_S": str(WRITE_S)}
    worker = await asyncio.to_thread(idle_fleet.worker, **settings)
    turns = await hold_steps(client, latch, sessions_over(PARTITIONS))

    if how == "refused":
        await proxy.refuse()
    else:
        proxy.hold()
    began_s = time.monotonic()
    worker.send(signal.SIGTERM)
    await asyncio.sleep(DRAIN_S / 2)
    latch.release()  # the steps end, and what they came to can be told to nobody
    code = await asyncio.to_thread(worker.wait_dead, 40)
    took_s = time.monotonic() - began_s

    assert (code, "worker.stopped" in worker.tail()) == (0, True), worker.tail()
    assert took_s < DRAIN_S + WRITE_S + END_S + SLACK_S
    await asyncio.to_thread(idle_fleet.worker)
    await client.until_status(turns)
    await client.judge(disruptions=1, repeatable=turns)
