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


async def test_everything_is_applied_once(any_empty_database: str) -> None:
    names = [each.name for each in (*migrations(), *functions())]
    assert await pending(any_empty_database) == names

    assert await migrate(any_empty_database) == names

    assert await migrate(any_empty_database) == []
    assert await pending(any_empty_database) == []


async def test_processes_that_start_at_once_do_not_meet(any_empty_database: str) -> None:
    applied = await asyncio.gather(*(migrate(any_empty_database) for _ in range(5)))

    assert sorted(map(len, applied)) == [0, 0, 0, 0, len(migrations()) + len(functions())]


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Migration("0001_good", "CREATE TABLE good (n integer)", "1")
    bad = Migration("0002_bad", "CREATE TABLE half (n integer); SELECT 1 / 0", "2")
    monkeypatch.setattr(module, "migrations", lambda: [good, bad])

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(any_empty_database)

    assert (await pending(any_empty_database))[0] == "0002_bad"
    connection = await connect(any_empty_database)
    assert await connection.fetchval("SELECT to_regclass('good') IS NOT NULL AND to_regclass('half') IS NULL")
    await connection.close()


async def test_a_killed_migration_gives_the_lock_back(any_empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Migration("0001_slow", "CREATE TABLE slow (n integer); SELECT pg_sleep(60)", "1")
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [slow])
        killed = asyncio.create_task(migrate(any_empty_database))
        watcher = await asyncpg.connect(any_empty_database)
        query = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()"
        async with asyncio.timeout(20):
            while not (pids := await watcher.fetch(query)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await watcher.execute("SELECT pg_terminate_backend($1)", pids[0][0])
        with pytest.raises(StoreUnavailableError):
            await killed
        await watcher.close()

    async with asyncio.timeout(20):
        assert await migrate(any_empty_database)


async def test_a_changed_migration_is_refused(any_empty_database: str) -> None:
    await migrate(any_empty_database)
    connection = await connect(any_empty_database)
    await connection.execute("UPDATE migrations SET checksum = 'other' WHERE name = $1", migrations()[0].name)
    await connection.close()

    for refuse in (migrate, pending):
        with pytest.raises(SettingError, match="was changed after it was applied"):
            await refuse(any_empty_database)


async def test_a_database_of_a_newer_version_is_refused(any_empty_database: str) -> None:
    await migrate(any_empty_database)
    connection = await connect(any_empty_database)
    await connection.execute("INSERT INTO migrations (name, checksum) VALUES ('9999_future', '')")
    await connection.close()

    with pytest.raises(SettingError, match="9999_future"):
        await migrate(any_empty_database)


async def test_a_function_whose_text_changed_is_applied_again_and_others_are_not(
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(any_empty_database)
    text = "CREATE OR REPLACE FUNCTION has_ended(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"
    changed = [each._replace(text=text, checksum="2") if "turn_states" in each.name else each for each in functions()]
    monkeypatch.setattr(module, "functions", lambda: changed)
    assert await pending(any_empty_database) == ["functions/turn_states"]

    assert await migrate(any_empty_database) == ["functions/turn_states"]

    assert await migrate(any_empty_database) == []
    connection = await connect(any_empty_database)
    assert await connection.fetchval("SELECT has_ended('running')")
    await connection.close()


HAS_ENDED = "CREATE OR REPLACE FUNCTION has_ended(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT {}'"


OF_LATER_TABLES = {
    "functions/identity",
    "functions/login",
}  # they name types and tables in their heads, which these versions have not


class Version:
    """A version of the code, with migrations and functions of its own."""

    def __init__(self, expands_from: str, *own: Migration, says: str) -> None:
        text = HAS_ENDED.format(says)
        self.expands_from = expands_from
        self.migrations = [each for each in migrations() if each.name < module.EXPANDS_FROM] + list(own)
        self.functions = [
            each._replace(text=text, checksum=says) if "turn_states" in each.name else each
            for each in functions()
            if each.name not in OF_LATER_TABLES
        ]

    def runs(self, patch: pytest.MonkeyPatch) -> None:
        """From now on the code is this version."""
        patch.setattr(module, "EXPANDS_FROM", self.expands_from)
        patch.setattr(module, "migrations", lambda: self.migrations)
        patch.setattr(module, "functions", lambda: self.functions)


ADDED = Migration("0031_added", "CREATE TABLE added (n integer)", "1")
ADDED_NEXT = Migration("9001_next", "CREATE TABLE added_next (n integer)", "2")
FIRST = Version(module.EXPANDS_FROM, says="true")
SECOND = Version(module.EXPANDS_FROM, ADDED, says="status IS NULL")
THIRD = Version("9001", ADDED, ADDED_NEXT, says="false")


class Before(Version):
    """The version before: it reads `argosy.migrations` and knows no other table."""

    def runs(self, patch: pytest.MonkeyPatch) -> None:
        super().runs(patch)
        known = {**module._SQL, "has_expansions": "SELECT false", "settle_expansions": "SELECT $1::text"}
        patch.setattr(module, "_SQL", known)


async def has_ended(dsn: str) -> bool:
    """What the function of the database says, whose text each version has of its own."""
    connection = await connect(dsn)
    try:
        return bool(await connection.fetchval("SELECT has_ended('running')"))
    finally:
        await connection.close()


async def test_the_version_before_starts_beside_what_was_added_and_leaves_the_newer_functions(
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Before(module.EXPANDS_FROM, says="true")
    with monkeypatch.context() as patch:
        before.runs(patch)
        await migrate(any_empty_database)
    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        assert await migrate(any_empty_database) == ["0031_added", "functions/turn_states"]
        assert await pending(any_empty_database) == []

    with monkeypatch.context() as patch:
        before.runs(patch)
        assert await pending(any_empty_database) == []
        assert await migrate(any_empty_database) == []
    assert not await has_ended(any_empty_database)

    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        assert await migrate(any_empty_database) == []


@pytest.mark.parametrize("through", ["", "0017"])
async def test_a_database_that_the_version_before_never_served_is_newer_for_it(
    through: str, any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [each for each in migrations() if each.name < through])
        patch.setattr(module, "functions", list)
        await migrate(any_empty_database)
    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        await migrate(any_empty_database)

    with monkeypatch.context() as patch:
        Before(module.EXPANDS_FROM, says="true").runs(patch)
        for refuse in (migrate, pending):
            with pytest.raises(SettingError, match=r"newer version of Argosy \(0031_added\)"):
                await refuse(any_empty_database)


async def test_what_is_added_and_cut_off_is_gone_on_with(
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        FIRST.runs(patch)
        await migrate(any_empty_database)
    cut = Version(module.EXPANDS_FROM, ADDED, says="true")
    cut.migrations = [*cut.migrations, Migration("0032_cut", "SELECT 1 / 0", "3")]
    with monkeypatch.context() as patch:
        cut.runs(patch)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(any_empty_database)

    with monkeypatch.context() as patch:
        Before(module.EXPANDS_FROM, says="true").runs(patch)
        assert await pending(any_empty_database) == []
    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        assert await migrate(any_empty_database) == ["functions/turn_states"]


async def test_what_the_version_before_put_back_is_missing(
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Before(module.EXPANDS_FROM, says="true")
    with monkeypatch.context() as patch:
        before.runs(patch)
        await migrate(any_empty_database)
        connection = await connect(any_empty_database)  # as if its first run had been cut off
        await connection.execute("UPDATE migrations SET checksum = 'other' WHERE name = 'functions/turn_states'")
        await connection.close()
    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        await migrate(any_empty_database)
    with monkeypatch.context() as patch:
        before.runs(patch)
        assert await migrate(any_empty_database) == ["functions/turn_states"]
    assert await has_ended(any_empty_database)

    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        assert await migrate(any_empty_database) == ["functions/turn_states"]
    assert not await has_ended(any_empty_database)


async def test_each_version_starts_beside_the_next_and_not_beside_the_one_after_that(
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (FIRST, SECOND, THIRD):
        with monkeypatch.context() as patch:
            version.runs(patch)
            assert await migrate(any_empty_database)

    with monkeypatch.context() as patch:
        SECOND.runs(patch)
        assert await migrate(any_empty_database) == []
    with monkeypatch.context() as patch:
        Before(module.EXPANDS_FROM, says="true").runs(patch)
        with pytest.raises(SettingError, match="0031_added"):
            await pending(any_empty_database)
    assert not await has_ended(any_empty_database)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailableError):
        await migrate("postgresql://argosy@127.0.0.1:1/argosy")


async def test_a_server_that_does_not_wait_for_the_disk_is_warned_about(any_empty_database: str) -> None:
    assert [line.split(" ")[0] for line in await preflight.check(any_empty_database)] == ["fsync"]  # as tests have it


async def test_each_unsafe_setting_is_warned_about() -> None:
    assert preflight.warnings_of("on", "on", "on", 0) == []
    warnings = preflight.warnings_of("off", "off", "off", 2)

    assert [line.split(" ")[0] for line in warnings] == ["fsync", "full_page_writes", "synchronous_commit", "2"]


async def test_sessions_wait_for_the_disk_whatever_the_database_says(any_empty_database: str) -> None:
    name = any_empty_database.split("/")[3].split("?")[0]
    connection = await asyncpg.connect(any_empty_database)
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.close()

    assert [line.split(" ")[0] for line in await preflight.check(any_empty_database)] == ["fsync"]
    own = await connect(any_empty_database)
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
    any_empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = [each for each in migrations() if each.name < "0008"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: older)
        patch.setattr(module, "functions", list)
        await migrate(any_empty_database)
    await set_restores(any_empty_database, 3)
    before = await lineage_of(any_empty_database)

    await migrate(any_empty_database)

    assert await lineage_of(any_empty_database) == before


async def test_a_restore_is_numbered_by_the_clock_because_a_count_would_come_back_with_the_backup(
    any_empty_database: str,
) -> None:
    await migrate(any_empty_database)
    before = await lineage_of(any_empty_database)
    minutes = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() // 60

    await after_restore(any_empty_database, 10.0)
    first = await lineage_of(any_empty_database)
    await after_restore(any_empty_database, 10.0)
    second = await lineage_of(any_empty_database)

    assert before < first < second < 2**31
    assert abs((first >> 9) - minutes / 2) <= 1
    assert (second >> 9) == (first >> 9) + 1
