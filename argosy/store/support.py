"""What Postgres says of itself to somebody who helps: its version, the schema's, sizes, and plans of statements.

Nothing is run but these few statements: plans are made without running what they are of.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, Final

import asyncpg

from argosy.errors import SettingError
from argosy.store.migrate import pending
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("support")
_MIGRATION_SQL: Final = load_queries("migration")
# Never with ANALYZE, which would run it.
_PREPARE: Final = "PREPARE explained AS "
_EXPLAIN: Final = "EXPLAIN EXECUTE explained"
_FORGET: Final = "DEALLOCATE explained"


async def server(dsn: str) -> dict[str, Any]:
    """Return the versions of server and schema, what migrations are missing, and sizes of tables.

    Raises StoreUnavailableError, SettingError.
    """
    async with _session(dsn) as connection:
        facts = dict(await connection.fetchrow(_SQL["server_version"]))
        applied = [row[0] for row in await connection.fetch(_MIGRATION_SQL["list_migrations"])]
        sizes = [dict(row) for row in await connection.fetch(_SQL["list_sizes"])]
    numbered = sorted(name for name in applied if name[:1].isdigit())
    return {**facts, "schema": numbered[-1] if numbered else None, "missing": await pending(dsn), "tables": sizes}


async def plans(dsn: str) -> str:
    """Return the generic plan of each statement that Argosy has, with its name; or why there is none.

    Raises StoreUnavailableError, SettingError.
    """
    shown = []
    async with _session(dsn) as connection:
        await connection.execute(_SQL["plan_generically"])
        for name, statement in _statements().items():
            shown.append(f"== {name}\n{await _plan(connection, statement)}\n")
    return "\n".join(shown)


async def slowest(dsn: str) -> list[dict[str, Any]] | None:
    """Return the statements that took the most time, as pg_stat_statements has them; None where it is not installed.

    Raises StoreUnavailableError, SettingError.
    """
    async with _session(dsn) as connection:
        schema = await connection.fetchval(_SQL["statistics_schema"])
        if schema is None:
            return None
        await connection.execute(f"SET search_path = {schema}, pg_catalog")
        return [dict(row) for row in await connection.fetch(_SQL["list_slowest"])]


@asynccontextmanager
async def _session(dsn: str) -> AsyncIterator[Any]:
    """A session in which nothing can be written."""
    connection = await connect(dsn, application="argosy support-bundle")
    try:
        await connection.execute(_SQL["read_only"])
        yield connection
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    except asyncpg.PostgresError as error:
        raise SettingError(f"Postgres refuses: {error}") from error
    finally:
        connection.terminate()


def _statements() -> Mapping[str, str]:
    """Return every statement of the store, as FILE.NAME."""
    files = resources.files("argosy.store").iterdir()
    names = sorted(each.name.removesuffix(".sql") for each in files if each.name.endswith(".sql"))
    return {f"{file}.{name}": text for file in names for name, text in load_queries(file).items()}


async def _plan(connection: Any, statement: str) -> str:
    try:
        await connection.fetch(_PREPARE + statement)  # not execute: it would run the second of several commands
    except UNAVAILABLE:
        raise
    except asyncpg.PostgresError as error:
        return f"(no plan: {error})"
    count = await connection.fetchval(_SQL["count_parameters"])
    nothing = f"({', '.join(['NULL'] * count)})" if count else ""
    plan = "\n".join(row[0] for row in await connection.fetch(_EXPLAIN + nothing))
    await connection.execute(_FORGET)
    return plan
