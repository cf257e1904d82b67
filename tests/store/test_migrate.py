"""Migrations: once, in order, whole, by whoever comes first."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from argosy.errors import SettingError, StoreUnavailableError
from argosy.store import migrate as module
from argosy.store import preflight
from argosy.store.migrate import Migration, after_restore, functions, migrate, migrations, pending
from argosy.store.pool import connect


async def test_everything_is_applied_once(any_database: str) -> None:
    names = [each.name for each in (*migrations(), *functions())]
    assert await pending(any_database) == names

    assert await migrate(any_database) == names

    assert await migrate(any_database) == []
    assert await pending(any_database) == []


async def test_processes_that_start_at_once_do_not_meet(any_database: str) -> None:
    applied = await asyncio.gather(*(migrate(any_database) for _ in range(5)))

    assert sorted(map(len, applied)) == [0, 0, 0, 0, len(migrations()) + len(functions())]


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Migration("0001_good", "CREATE TABLE good (n integer)", "1")
    bad = Migration("0002_bad", "CREATE TABLE half (n integer); SELECT 1 / 0", "2")
    monkeypatch.setattr(module, "migrations", lambda: [good, bad])

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(any_database)

    assert (await pending(any_database))[0] == "0002_bad"
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


async def test_a_function_whose_text_changed_is_applied_again_and_others_are_not(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(any_database)
    text = "CREATE OR REPLACE FUNCTION has_ended(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"
    changed = [each._replace(text=text, checksum="2") if "turn_states" in each.name else each for each in functions()]
    monkeypatch.setattr(module, "functions", lambda: changed)
    assert await pending(any_database) == ["functions/turn_states"]

    assert await migrate(any_database) == ["functions/turn_states"]

    assert await migrate(any_database) == []
    connection = await connect(any_database)
    assert await connection.fetchval("SELECT has_ended('running')")
    await connection.close()


async def test_the_functions_of_a_database_that_is_migrated_step_by_step_are_those_of_a_fresh_one(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [each for each in migrations() if each.name < "0010"])
        patch.setattr(module, "functions", list)
        await migrate(any_database)

    await migrate(any_database)

    assert await pending(any_database) == []


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailableError):
        await migrate("postgresql://argosy@127.0.0.1:1/argosy")


async def test_a_safe_server_has_no_warnings(any_database: str) -> None:
    assert await preflight.check(any_database) == []


async def test_each_unsafe_setting_is_warned_about() -> None:
    assert preflight._warnings("on", "on", "on", 0) == []
    warnings = preflight._warnings("off", "off", "off", 2)

    assert [line.split(" ")[0] for line in warnings] == ["fsync", "full_page_writes", "synchronous_commit", "2"]


async def test_sessions_wait_for_the_disk_whatever_the_database_says(any_database: str) -> None:
    name = any_database.split("/")[3].split("?")[0]
    connection = await asyncpg.connect(any_database)
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.close()

    assert await preflight.check(any_database) == []
    own = await connect(any_database)
    assert await own.fetchval("SHOW synchronous_commit") == "on"
    await own.close()


async def lineage_of(dsn: str) -> int:
    connection = await connect(dsn)
    try:
        found: int = await connection.fetchval("SELECT argosy.lineage()")
        return found
    finally:
        await connection.close()


async def set_restores(dsn: str, restores: int) -> None:
    connection = await connect(dsn)
    await connection.execute("UPDATE argosy.lineages SET restores = $1", restores)
    await connection.close()


async def test_the_lineage_of_a_database_that_was_restored_before_stays_as_it_was(
    any_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = [each for each in migrations() if each.name < "0008"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: older)
        patch.setattr(module, "functions", list)
        await migrate(any_database)
    await set_restores(any_database, 3)
    before = await lineage_of(any_database)

    await migrate(any_database)

    assert await lineage_of(any_database) == before


async def test_a_restore_is_numbered_by_the_clock_because_a_count_would_come_back_with_the_backup(
    any_database: str,
) -> None:
    await migrate(any_database)
    before = await lineage_of(any_database)
    minutes = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() // 60

    await after_restore(any_database, 10.0)
    first = await lineage_of(any_database)
    await after_restore(any_database, 10.0)
    second = await lineage_of(any_database)

    assert before < first < second < 2**31
    assert abs((first >> 9) - minutes / 2) <= 1
    assert (second >> 9) == (first >> 9) + 1
