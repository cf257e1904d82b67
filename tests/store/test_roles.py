"""Roles that own nothing of the database: they do what processes do, and nothing that changes what the database is."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from argosy.errors import SettingError
from argosy.store import migrate
from argosy.store.audit import Act, audit, list_audit, purge_audit
from argosy.store.grants import grant
from argosy.store.pool import Pool, connect
from argosy.store.preflight import check
from tests.conftest import in_thread
from tests.maintenance.term import term_of

REFUSED = [
    "CREATE TABLE argosy.own (id integer)",
    "CREATE FUNCTION argosy.own() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION argosy.keep_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "CREATE SCHEMA own",
    "ALTER TABLE argosy.turns ADD COLUMN own integer",
    "ALTER TABLE argosy.audit DISABLE TRIGGER ALL",
    "DROP TABLE argosy.turns",
    "DROP FUNCTION argosy.keep_audit() CASCADE",
    "TRUNCATE argosy.turns",
    "TRUNCATE argosy.audit",
    "UPDATE argosy.audit SET target = 'another'",
    "SET argosy.purges_audit = 'on'; DELETE FROM argosy.audit",
    "DELETE FROM argosy.migrations",
    "INSERT INTO argosy.expansions (name, checksum, expands_from) VALUES ('own', '', '')",
    "SET session_replication_role = 'replica'",
]
ACT = Act("local", "test", None, "acme", "tokens.create", "target", "done", "", "", "")


def as_role(dsn: str, role: str) -> str:
    return f"{dsn}&role={role}"


@contextmanager
def made_role(dsn: str) -> Iterator[str]:
    name = f"fleet-{uuid.uuid4().hex[:8]}"  # a name that has to be quoted

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(statement)
        await connection.close()

    in_thread(lambda: execute(f'CREATE ROLE "{name}"'))
    try:
        yield name
    finally:
        in_thread(lambda: execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"'))


@pytest.fixture
def role(any_database: str) -> Iterator[str]:
    with made_role(any_database) as name:
        yield name


async def rows_of(dsn: str, statement: str) -> list[Any]:
    connection = await connect(dsn)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def test_a_role_of_the_fleet_starts_and_changes_nothing_of_what_the_database_is(
    any_database: str, role: str
) -> None:
    with pytest.raises(SettingError, match="argosy migrate --grant-to"):
        await migrate.pending(as_role(any_database, role))
    for _ in range(2):  # it may be given again
        await grant(any_database, role)

    assert await migrate.pending(as_role(any_database, role)) == []
    await check(as_role(any_database, role))
    connection = await connect(as_role(any_database, role))
    assert await connection.fetchval("SELECT current_user") == role
    for statement in REFUSED:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.execute("GRANT DELETE ON argosy.audit TO CURRENT_USER")  # Postgres only warns
    assert not await connection.fetchval("SELECT has_table_privilege('argosy.audit', 'DELETE')")
    await connection.close()


async def test_the_fleet_adds_to_the_audit_and_maintenance_alone_deletes_from_it(any_database: str, role: str) -> None:
    await grant(any_database, role)
    pool = Pool(as_role(any_database, role), 2, 5.0)
    await audit(pool, ACT)
    (row,) = await list_audit(pool, "acme", None, 10)
    assert row.act == ACT
    term = await term_of(as_role(any_database, role), "retention")

    assert await purge_audit(pool, "retention", term, 0.0, 10) is None
    assert len(await list_audit(pool, "acme", None, 10)) == 1

    await grant(any_database, role, is_of_maintenance=True)
    assert await purge_audit(pool, "retention", term, 0.0, 10) == 1
    await grant(any_database, role)  # taken again
    assert await purge_audit(pool, "retention", term, 0.0, 10) is None
    await pool.close()


async def test_several_may_give_a_role_its_rights_at_once(any_database: str, role: str) -> None:
    await asyncio.gather(*(grant(any_database, role, is_of_maintenance=number % 2 > 0) for number in range(6)))

    connection = await connect(any_database)
    rights = await connection.fetchrow(
        "SELECT has_table_privilege($1, 'argosy.turns', 'UPDATE'), has_table_privilege($1, 'argosy.audit', 'UPDATE')",
        role,
    )
    await connection.close()
    assert tuple(rights) == (True, False)


async def test_what_a_later_migration_makes_the_fleet_may_use(any_database: str, role: str) -> None:
    await grant(any_database, role)
    owner = await connect(any_database)
    await owner.execute("CREATE TABLE argosy.later (id bigint GENERATED ALWAYS AS IDENTITY, word text)")
    await owner.execute("CREATE FUNCTION argosy.word() RETURNS text LANGUAGE sql AS $$ SELECT max(word) FROM later $$")
    await owner.close()

    fleet = as_role(any_database, role)
    await rows_of(fleet, "INSERT INTO argosy.later (word) VALUES ('a') RETURNING id")
    assert [row[0] for row in await rows_of(fleet, "SELECT argosy.word()")] == ["a"]


async def test_no_function_has_the_rights_of_its_owner(any_database: str) -> None:
    """Otherwise what a role may not do, it might have a function do."""
    statement = "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'argosy'::regnamespace"

    assert await rows_of(any_database, statement) == []


async def test_a_role_that_is_not_there_or_has_all_rights_anyway_is_said(any_database: str, role: str) -> None:
    with pytest.raises(SettingError, match="the database has no role nobody-there"):
        await grant(any_database, "nobody-there")
    with pytest.raises(SettingError, match="is a superuser, or is the owner"):
        await grant(any_database, "argosy")
    with pytest.raises(SettingError, match="may not give rights"):
        await grant(as_role(any_database, role), role)
