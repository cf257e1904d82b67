"""Migrations: once, in order, whole, by whoever comes first."""

import asyncio

import asyncpg
import pytest

from argosy.errors import SettingError, StoreUnavailableError
from argosy.store import migrate as module
from argosy.store import preflight
from argosy.store.migrate import Migration, migrate, migrations, pending
from argosy.store.pool import connect


async def test_everything_is_applied_once(any_database: str) -> None:
    names = [each.name for each in migrations()]
    assert await pending(any_database) == names

    assert await migrate(any_database) == names

    assert await migrate(any_database) == []
    assert await pending(any_database) == []


async def test_processes_that_start_at_once_do_not_meet(any_database: str) -> None:
    applied = await asyncio.gather(*(migrate(any_database) for _ in range(5)))

    assert sorted(map(len, applied)) == [0, 0, 0, 0, len(migrations())]


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Migration("0001_good", "CREATE TABLE good (n integer)", "1")
    bad = Migration("0002_bad", "CREATE TABLE half (n integer); SELECT 1 / 0", "2")
    monkeypatch.setattr(module, "migrations", lambda: [good, bad])

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(any_database)

    assert await pending(any_database) == ["0002_bad"]
    connection = await connect(any_database)
    assert await connection.fetchval("SELECT to_regclass('good') IS NOT NULL AND to_regclass('half') IS NULL")
    await connection.close()


async def test_a_killed_migration_gives_the_lock_back(any_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Migration("0001_slow", "CREATE TABLE slow (n integer); SELECT pg_sleep(60)", "1")
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [slow])
        killed = asyncio.create_task(migrate(any_database))
        watcher = await asyncpg.connect(any_database)
        query = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()"
        async with asyncio.timeout(20):
            while not (pids := await watcher.fetch(query)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await watcher.execute("SELECT pg_terminate_backend($1)", pids[0][0])
        with pytest.raises(StoreUnavailableError):
            await killed
        await watcher.close()

    async with asyncio.timeout(20):
        assert await migrate(any_database)


async def test_a_changed_migration_is_refused(any_database: str) -> None:
    await migrate(any_database)
    connection = await connect(any_database)
    await connection.execute("UPDATE migrations SET checksum = 'other' WHERE name = $1", migrations()[0].name)
    await connection.close()

    for refuse in (migrate, pending):
        with pytest.raises(SettingError, match="was changed after it was applied"):
            await refuse(any_database)


async def test_a_database_of_a_newer_version_is_refused(any_database: str) -> None:
    await migrate(any_database)
    connection = await connect(any_database)
    await connection.execute("INSERT INTO migrations (name, checksum) VALUES ('9999_future', '')")
    await connection.close()

    with pytest.raises(SettingError, match="9999_future"):
        await migrate(any_database)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailableError):
        await migrate("postgresql://argosy@127.0.0.1:1/argosy")


async def test_a_safe_server_has_no_warnings(any_database: str) -> None:
    assert await preflight.check(any_database) == []


async def test_each_unsafe_setting_is_warned_about() -> None:
    assert preflight._warnings("on", "on", "on", 0) == []
    warnings = preflight._warnings("off", "off", "off", 2)

    assert [line.split(" ")[0] for line in warnings] == ["fsync", "full_page_writes", "synchronous_commit", "2"]


async def test_a_relaxed_commit_is_warned_about(any_database: str) -> None:
    name = any_database.split("/")[3].split("?")[0]
    connection = await asyncpg.connect(any_database)
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.close()

    assert [line.split(" ")[0] for line in await preflight.check(any_database)] == ["synchronous_commit"]
