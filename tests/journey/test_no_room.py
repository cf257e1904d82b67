"""Postgres has no free connection, or is on its way up or down, when processes start: they wait, say so, and start."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from argosy.errors import StoreNotReadyError, StoreUnavailableError
from argosy.local.postgres import EmbeddedPostgres
from argosy.store.patience import when_ready
from argosy.store.pool import connect
from tests.conftest import open_folder
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.processes import Managed, free_port

ROLE = "crowded"  # no superuser: those have connections of their own
IS_HELD = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'crowded'"


@pytest.fixture(scope="module")
def own_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def own_server(own_port: int) -> Iterator[EmbeddedPostgres]:
    with open_folder() as path, EmbeddedPostgres(path, tcp_port=own_port) as server:
        yield server


@pytest.fixture
async def operator(own_server: EmbeddedPostgres) -> AsyncIterator[Any]:
    """Who lets the role have connections."""
    connection = await asyncpg.connect(own_server.dsn)
    await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'p'")
    await connection.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
    yield connection
    await connection.execute(f"DROP DATABASE {ROLE} WITH (FORCE)")
    await connection.execute(f"DROP ROLE {ROLE}")
    await connection.close()


@pytest.fixture
def database(own_port: int, operator: Any) -> str:
    return f"postgresql://{ROLE}:p@127.0.0.1:{own_port}/{ROLE}"


async def until(condition: Callable[[], Any], within_s: float = 40.0) -> None:
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_held(operator: Any, count: int) -> None:
    async with asyncio.timeout(40):
        while await operator.fetchval(IS_HELD) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def has_said_so(process: Managed) -> bool:
    assert process.process.poll() is None, process.tail()
    return "store.not_ready" in process.log.read_text()


@BOTH_IN_FAULTS
async def test_processes_that_find_no_free_connection_wait_say_so_and_start_when_there_are_some(
    idle_fleet: Fleet, client: Client, operator: Any, database: str
) -> None:
    await operator.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 1")
    await operator.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'crowded'")
    held = await asyncpg.connect(database)
    port = free_port()
    waiting = [
        idle_fleet.begin_gateway(),
        idle_fleet.begin_worker(),
        idle_fleet.start_process("maintain", ["maintain"], port, {"METRICS_PORT": str(port)}),
    ]
    migrating = idle_fleet.start_process("migrate", ["migrate"], 0, {})
    for each in (*waiting, migrating):
        await until(lambda each=each: has_said_so(each))  # type: ignore[misc]

    await operator.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT 4")  # some have it, and miss the next
    await until_held(operator, 4)
    await operator.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
    for each in waiting:
        await asyncio.to_thread(each.wait_ready, 40)

    assert await asyncio.to_thread(migrating.wait_dead) == 0
    await client.until_status([await client.post("s", "steps", effects=1)])
    await held.close()
    for each in (*waiting, migrating):
        assert 1 <= each.log.read_text().count("store.not_ready") <= 12
        assert "Traceback" not in each.log.read_text()


@BOTH_IN_FAULTS
async def test_a_worker_that_postgres_does_not_know_does_not_wait(
    idle_fleet: Fleet, own_server: EmbeddedPostgres, own_port: int
) -> None:
    for uri in (f"postgresql://nobody:p@127.0.0.1:{own_port}/{ROLE}", "postgresql://u:p@127.0.0.1:1/db"):
        worker = idle_fleet.begin_worker(STATE_DB_URI=uri)

        assert await asyncio.to_thread(worker.wait_dead) == 1
        assert worker.tail().splitlines()[-1].startswith("argosy worker: Postgres cannot be reached: ")


async def test_a_server_on_its_way_down_is_waited_for_until_it_is_gone(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        stays = await connect(server.dsn)

        os.kill(server.pid, signal.SIGTERM)  # it takes nobody any more, and waits for those who are there
        async with asyncio.timeout(10):
            while True:
                try:
                    (await connect(server.dsn)).terminate()
                except StoreNotReadyError:
                    break

        waiting = asyncio.create_task(when_ready(lambda: connect(server.dsn)))
        await asyncio.sleep(0)
        assert not waiting.done()
        stays.terminate()

        with pytest.raises(StoreUnavailableError) as refused:
            await waiting
        assert not isinstance(refused.value, StoreNotReadyError)
