"""Signs of life on a real Postgres: the dead are noticed within a moment, the living are not taken for dead."""

import asyncio
import contextlib
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from argosy.clock import SystemClock
from argosy.store.pool import Pool
from argosy.store.worker import Beat, Workers
from tests.store.conftest import *  # noqa: F403
from workers.dispatch.life import Member
from workers.dispatch.signs_of_life import SignsOfLife

BEAT = Beat(in_flight=0, is_draining=False, owned=[], ready_sessions=0, lag=0)
# A process that holds the lock of a worker and beats once: what dies, or stops.
CHILD = """
import asyncio, sys, uuid
from argosy.store import worker
from argosy.store.pool import connect
async def main():
    connection = await connect(sys.argv[1])
    assert await worker.take_lock(connection, int(sys.argv[2]))
    await worker.beat(connection, uuid.UUID(sys.argv[3]), worker.Beat(0, False, [], 0, 0))
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


class Watcher:
    """One worker's signs of life, and what it heard of the others."""

    def __init__(self, worker_id: uuid.UUID, worker_no: int, dsn: str, ttl_s: float) -> None:
        self.worker_id = worker_id
        self.worker_no = worker_no
        self.heard: list[list[Member]] = []
        self.lineages: list[int] = []
        self.signs = SignsOfLife(
            dsn,
            worker_id,
            worker_no,
            SystemClock(),
            interval_s=0.1,
            ttl_s=ttl_s,
            state=lambda: BEAT,
            on_members=self.heard.append,
            on_lineage=self.lineages.append,
        )

    def sees(self, worker_id: uuid.UUID) -> bool | None:
        """Whether that one lives, None when it is not known."""
        known = self.heard[-1] if self.heard else []
        return next((each.is_alive for each in known if each.worker_id == worker_id), None)

    def ever_saw_dead(self, worker_id: uuid.UUID) -> bool:
        return any(not each.is_alive for members in self.heard for each in members if each.worker_id == worker_id)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def register(dsn: str) -> tuple[uuid.UUID, int]:
    pool, worker_id = Pool(dsn, 2, 10.0), uuid.uuid4()
    number = await Workers(pool).register(
        worker_id, kind="dispatch", lane="default", build="1", host="h", pid=1, address="127.0.0.1:1", metrics_port=1,
        slots=1, workflows=[],
    )  # fmt: skip
    await pool.close()
    return worker_id, number


@contextlib.asynccontextmanager
async def watching(dsn: str, ttl_s: float = 30.0) -> AsyncIterator[Watcher]:
    watcher = Watcher(*await register(dsn), dsn, ttl_s)
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


@pytest.fixture(autouse=True)
async def _server_is_up_for_a_while(store_dsn: str) -> None:
    """The first seconds after a start of the server are another matter."""
    connection = await asyncpg.connect(store_dsn)
    async with asyncio.timeout(10):
        while await connection.fetchval("SELECT now() - pg_postmaster_start_time() < interval '6 seconds'"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await connection.close()


async def test_a_killed_worker_is_noticed(store_dsn: str) -> None:
    async with watching(store_dsn) as watcher, other_process(store_dsn) as (dying, process):
        await until(lambda: watcher.sees(dying) is True)

        process.kill()

        await until(lambda: watcher.sees(dying) is False)


async def test_everybody_hears_of_a_death_although_one_alone_watches(store_dsn: str) -> None:
    async with (
        watching(store_dsn) as first,
        watching(store_dsn) as second,
        watching(store_dsn) as third,
        other_process(store_dsn) as (dying, process),
    ):
        await until(lambda: all(each.sees(dying) for each in (first, second, third)))

        process.kill()

        await until(lambda: all(each.sees(dying) is False for each in (first, second, third)))
    assert not first.ever_saw_dead(second.worker_id)


async def test_two_neighbours_that_die_at_once_are_both_noticed(store_dsn: str) -> None:
    async with (
        watching(store_dsn) as watcher,
        other_process(store_dsn) as (one, process),
        other_process(store_dsn) as (two, another),
    ):
        await until(lambda: bool(watcher.sees(one) and watcher.sees(two)))

        process.kill()
        another.kill()

        await until(lambda: watcher.sees(one) is False and watcher.sees(two) is False)


async def test_a_live_worker_whose_connections_are_cut_is_not_taken_for_dead(store_dsn: str) -> None:
    async with watching(store_dsn) as watcher, watching(store_dsn) as cut:
        await until(lambda: bool(watcher.sees(cut.worker_id) and cut.sees(watcher.worker_id)))
        connection = await asyncpg.connect(store_dsn)

        for _ in range(2):
            ended = await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE $1",
                f"argosy life {cut.worker_id}",
            )
            assert ended > 0
            heard = len(watcher.heard)
            await until(lambda heard=heard: len(watcher.heard) > heard)
            await asyncio.sleep(0.5)

        assert not watcher.ever_saw_dead(cut.worker_id)
        await connection.close()


async def test_one_that_beats_no_more_is_dead_in_the_end_although_it_holds_its_lock(store_dsn: str) -> None:
    async with watching(store_dsn, ttl_s=3.0) as watcher, other_process(store_dsn) as (silent, process):
        await until(lambda: watcher.sees(silent) is False)

        assert process.poll() is None

    assert watcher.lineages


async def test_one_that_leaves_in_an_orderly_way_is_gone(store_dsn: str) -> None:
    pool = Pool(store_dsn, 2, 10.0)
    async with watching(store_dsn) as watcher, watching(store_dsn) as leaving:
        await until(lambda: watcher.sees(leaving.worker_id) is True)

        await asyncio.to_thread(leaving.signs.stop)
        await Workers(pool).remove(leaving.worker_id)

        await until(lambda: watcher.sees(leaving.worker_id) is None)
    await pool.close()
