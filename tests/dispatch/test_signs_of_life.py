"""Signs of life on a real Postgres: the dead are noticed within a moment, the living are not taken for dead."""

import asyncio
import signal
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from argosy.local.postgres import EmbeddedPostgres
from argosy.log import Identity
from argosy.store import worker
from argosy.store.lane_log import LaneLogs
from argosy.store.migrate import migrate
from argosy.store.pool import Pool, connect
from tests.dispatch.lives import *  # noqa: F403
from tests.dispatch.lives import (
    Watcher,
    is_up_for,
    other_process,
    register,
    remove,
    until,
    until_sql,
    watching,
)
from tests.store.conftest import *  # noqa: F403
from tests.store.newest_first import *  # noqa: F403


async def test_a_killed_worker_is_noticed(warm_dsn: str) -> None:
    async with watching(warm_dsn) as watcher, other_process(warm_dsn) as (dying, process):
        await until(lambda: watcher.sees(dying) is True)

        process.kill()

        await until(lambda: watcher.sees(dying) is False)


async def test_everybody_hears_of_a_death_although_one_alone_watches(warm_dsn: str) -> None:
    async with (
        watching(warm_dsn) as first,
        watching(warm_dsn) as second,
        watching(warm_dsn) as third,
        other_process(warm_dsn) as (dying, process),
    ):
        await until(lambda: all(each.sees(dying) for each in (first, second, third)))

        process.kill()

        await until(lambda: all(each.sees(dying) is False for each in (first, second, third)))
    assert not first.ever_saw_dead(second.worker_id)


async def test_two_neighbours_that_die_at_once_are_both_noticed(warm_dsn: str) -> None:
    async with (
        watching(warm_dsn) as watcher,
        other_process(warm_dsn) as (one, process),
        other_process(warm_dsn) as (two, another),
    ):
        await until(lambda: bool(watcher.sees(one) and watcher.sees(two)))

        process.kill()
        another.kill()

        await until(lambda: watcher.sees(one) is False and watcher.sees(two) is False)


@pytest.mark.parametrize("interval_s", [0.1, 10.0])
async def test_a_live_worker_whose_connections_are_cut_is_not_taken_for_dead(warm_dsn: str, interval_s: float) -> None:
    """However long it would be until its next beat."""
    async with watching(warm_dsn) as watcher, watching(warm_dsn, interval_s=interval_s) as cut:
        await until(lambda: bool(watcher.sees(cut.worker_id) and cut.sees(watcher.worker_id)))
        connection = await asyncpg.connect(warm_dsn)

        for _ in range(2):
            ended = await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE $1",
                f"argosy life {cut.worker_id}",
            )
            assert ended > 0
            heard = len(watcher.heard)
            await until(lambda heard=heard: len(watcher.heard) > heard)  # type: ignore[misc]
            await asyncio.sleep(0.5)

        assert not watcher.ever_saw_dead(cut.worker_id)
        await connection.close()


async def test_what_a_worker_says_of_itself_is_heard_at_once_when_others_wait_for_it(warm_dsn: str) -> None:
    async with watching(warm_dsn, interval_s=10.0) as watcher, watching(warm_dsn, interval_s=10.0) as leaving:
        await until(lambda: watcher.sees(leaving.worker_id))
        leaving.is_draining = True

        leaving.signs.beat_soon()

        async with asyncio.timeout(2):
            await until(
                lambda: {each.worker_id for each in watcher.heard[-1] if each.is_draining} == {leaving.worker_id}
            )


async def test_a_beat_is_answered_with_the_log_that_the_lane_is_on(warm_dsn: str) -> None:
    pool = Pool(warm_dsn, 1, 10.0)
    async with watching(warm_dsn) as watcher:
        await until(lambda: bool(watcher.logs))
        assert watcher.logs[0][1:] == (None, None)

        await LaneLogs(pool, "default").set(Identity("cluster", "id", 8), "turns", None)

        await until(lambda: watcher.logs[-1][1:] == ("cluster", "turns"))
    await pool.close()


async def test_one_that_has_stopped_is_dead_in_the_end_and_lives_again_when_it_goes_on(warm_dsn: str) -> None:
    async with watching(warm_dsn, ttl_s=2.0) as watcher, other_process(warm_dsn) as (silent, process):
        process.send_signal(signal.SIGSTOP)
        await until(lambda: watcher.sees(silent) is False)

        process.send_signal(signal.SIGCONT)

        await until(lambda: watcher.sees(silent) is True)
    assert watcher.lineages


async def test_a_death_is_noticed_although_the_one_that_watches_has_stopped(warm_dsn: str) -> None:
    async with (
        watching(warm_dsn) as watcher,
        other_process(warm_dsn) as (_, stopping),
        other_process(warm_dsn) as (dying, process),
    ):
        await until(lambda: watcher.sees(dying) is True)
        stopping.send_signal(signal.SIGSTOP)

        process.kill()

        await until(lambda: watcher.sees(dying) is False)


async def test_a_lingering_backend_of_a_lost_connection_is_ended_and_nobody_is_taken_for_dead(warm_dsn: str) -> None:
    lingering = await connect(warm_dsn)
    worker_id, number = await register(warm_dsn)
    assert await worker.take_lock(lingering, number)
    async with watching(warm_dsn) as watcher:
        back = Watcher(worker_id, number, warm_dsn)
        back.signs.start()

        await until(lambda: lingering.is_closed() and watcher.sees(worker_id) is True)

        await asyncio.sleep(0.5)
        assert not watcher.ever_saw_dead(worker_id)
        await asyncio.to_thread(back.signs.stop)


async def test_a_worker_has_two_backends_however_often_its_neighbour_changes_and_none_keeps_an_old_snapshot(
    warm_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_WAIT", "300ms")
    connection = await asyncpg.connect(warm_dsn)
    async with watching(warm_dsn) as one, watching(warm_dsn) as two:
        for _ in range(3):
            async with watching(warm_dsn) as third:
                await until(partial(one.sees, third.worker_id))
            await remove(warm_dsn, third.worker_id)
            await until(lambda gone=third.worker_id: one.sees(gone) is None and two.sees(gone) is None)  # type: ignore[misc]

        await until_sql(
            connection, "SELECT count(*) = 4 FROM pg_stat_activity WHERE application_name LIKE 'argosy life %'"
        )
        now = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
        await until_sql(
            connection,
            "SELECT count(*) = 0 FROM pg_stat_activity"
            " WHERE application_name LIKE 'argosy life %' AND backend_xmin::text::bigint < $1",
            now,
        )
    await connection.close()


@pytest.mark.slow
async def test_nobody_is_taken_for_dead_after_a_restart_of_the_server(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    await asyncio.to_thread(server.start)
    try:
        await migrate(server.dsn)
        await is_up_for(server.dsn, 6)
        async with watching(server.dsn) as one, watching(server.dsn) as two:
            await until(lambda: bool(one.sees(two.worker_id) and two.sees(one.worker_id)))

            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await is_up_for(server.dsn, 7)

            assert one.signs.is_heard
            assert two.signs.is_heard
            assert not one.ever_saw_dead(two.worker_id)
            assert not two.ever_saw_dead(one.worker_id)
    finally:
        await asyncio.to_thread(server.stop)


async def test_one_that_leaves_in_an_orderly_way_is_gone(warm_dsn: str) -> None:
    async with watching(warm_dsn) as watcher, watching(warm_dsn) as leaving:
        await until(lambda: watcher.sees(leaving.worker_id) is True)

        await asyncio.to_thread(leaving.signs.stop)
        await remove(warm_dsn, leaving.worker_id)

        await until(lambda: watcher.sees(leaving.worker_id) is None)
