"""Workers of which nothing but the signs of life is there."""

import asyncio
import contextlib
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from argosy.clock import SystemClock
from argosy.config import load
from argosy.life import ProcessKind
from argosy.store.pool import Pool
from argosy.store.worker import Beat, Told, Workers
from argosy.workers.dispatch.ring import RingWorker
from argosy.workers.dispatch.signs_of_life import SignsOfLife
from tests.store.conftest import *  # noqa: F403
from tests.store.newest_first import *  # noqa: F403

BEAT = Beat(in_flight=0, is_draining=False, owned=[], ready_sessions=0, lag=0)
# A worker of which nothing but the signs of life is there: what dies, or stops.
CHILD = """
import asyncio, sys, uuid
from argosy.clock import SystemClock
from argosy.config import load
from argosy.store.worker import Beat
from argosy.workers.dispatch.signs_of_life import SignsOfLife
async def main():
    lives = asyncio.Event()
    class Living:
        def beat(self):
            return Beat(0, False, [], 0, 0)
        def after_workers(self, workers):
            lives.set()
        def after_heartbeat(self, told):
            pass
    settings = load({}).model_copy(update={"heartbeat_interval_s": 0.1, "heartbeat_ttl_s": 2.0})
    living = Living()
    SignsOfLife(
        sys.argv[1], uuid.UUID(sys.argv[3]), int(sys.argv[2]), SystemClock(), settings, living, living).start()
    await lives.wait()
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


class Watcher:
    """One worker's signs of life, and what it heard of the others."""

    def __init__(
        self, worker_id: uuid.UUID, worker_no: int, dsn: str, ttl_s: float = 30.0, interval_s: float = 0.1
    ) -> None:
        self.worker_id = worker_id
        self.worker_no = worker_no
        self.heard: list[list[RingWorker]] = []
        self.lineages: list[int] = []
        self.logs: list[Told] = []
        self.is_draining = False
        settings = load({}).model_copy(update={"heartbeat_interval_s": interval_s, "heartbeat_ttl_s": ttl_s})
        self.signs = SignsOfLife(dsn, worker_id, worker_no, SystemClock(), settings, self, self)

    def beat(self) -> Beat:
        return BEAT._replace(is_draining=self.is_draining)

    def after_workers(self, workers: list[RingWorker]) -> None:
        self.heard.append(workers)

    def after_heartbeat(self, told: Told) -> None:
        self.lineages.append(told.lineage)
        self.logs.append(told)

    def sees(self, worker_id: uuid.UUID) -> bool | None:
        """Whether that one lives, None when it is not known."""
        known = self.heard[-1] if self.heard else []
        return next((each.is_alive for each in known if each.worker_id == worker_id), None)

    def ever_saw_dead(self, worker_id: uuid.UUID) -> bool:
        return any(not each.is_alive for workers in self.heard for each in workers if each.worker_id == worker_id)


async def until(condition: Callable[[], bool | None]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def register(dsn: str) -> tuple[uuid.UUID, int]:
    pool, worker_id = Pool(dsn, 2, 10.0), uuid.uuid4()
    number = await Workers(pool).register(
        worker_id, kind=ProcessKind.DISPATCH, lane="default", build="1", host="h", pid=1, address="127.0.0.1:1",
        metrics_port=1, slots=1, workflows=[],
    )  # fmt: skip
    await pool.close()
    return worker_id, number


@contextlib.asynccontextmanager
async def watching(dsn: str, ttl_s: float = 30.0, interval_s: float = 0.1) -> AsyncIterator[Watcher]:
    watcher = Watcher(*await register(dsn), dsn, ttl_s, interval_s)
    watcher.signs.start()
    try:
        yield watcher
    finally:
        await asyncio.to_thread(watcher.signs.stop)


@contextlib.asynccontextmanager
async def other_process(dsn: str) -> AsyncIterator[tuple[uuid.UUID, subprocess.Popen[bytes]]]:
    worker_id, number = await register(dsn)
    process = subprocess.Popen([sys.executable, "-c", CHILD, dsn, str(number), str(worker_id)], stdout=subprocess.PIPE)  # noqa: ASYNC220
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        yield worker_id, process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
async def warm_dsn(store_dsn: str) -> str:
    """The first seconds after a start of the server are another matter."""
    await is_up_for(store_dsn, 6)
    return store_dsn


async def is_up_for(dsn: str, seconds: int) -> None:
    connection = await asyncpg.connect(dsn)
    await until_sql(connection, "SELECT now() - pg_postmaster_start_time() > make_interval(secs => $1)", seconds)
    await connection.close()


async def until_sql(connection: Any, statement: str, *arguments: object) -> None:
    async with asyncio.timeout(20):
        while not await connection.fetchval(statement, *arguments):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def remove(dsn: str, worker_id: uuid.UUID) -> None:
    pool = Pool(dsn, 1, 10.0)
    await Workers(pool).remove(worker_id)
    await pool.close()
