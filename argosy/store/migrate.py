"""Forward-only migrations, applied once and in order by the process that comes first; then the functions.

Promise: after `migrate` returns, the database has exactly the migrations and functions of this code. Each is one
transaction together with its row in `migrations`, and all run under one advisory lock. So two processes that start at
once do not get in each other's way, and a process that is killed leaves a whole number of them applied.

- `migrations/NNNN_*.sql` holds tables, types and indexes. A released file never changes: its checksum is recorded.
- `functions/*.sql` holds the whole current text of each function, once. A file is applied again when its checksum
  differs from the recorded one. Processes of the version before go on calling the functions that they know: new
  parameters make a second function of the same name, and a later migration drops the old one.

Expand and contract: a release only adds to what the version before uses, so a fleet can be rolled to it and back. The
version before starts only beside what it knows. So what is added to a database that it has served is recorded in
`argosy.expansions`, where it does not look: it starts, applies nothing, and does not put its own texts of functions
back. A database that it has never served is recorded in `argosy.migrations` alone, and is simply newer. Each release
moves EXPANDS_FROM on: what the version before has added is then settled, and what came before that one is too old.
"""

import hashlib
from importlib import resources
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.errors import SettingError
from argosy.store.patience import when_ready
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("migration")
EXPANDS_FROM: Final = "0031"  # the version before ends with the migration ahead of this one
_FUNCTIONS: Final = "functions/"
LOCK_KEY: Final = 0x41_52_47_4F_53_59  # "ARGOSY"


class Migration(NamedTuple):
    name: str
    text: str
    checksum: str


def migrations() -> list[Migration]:
    """Return the migrations of this code, in order."""
    return _read("migrations", "")


def functions() -> list[Migration]:
    """Return the functions of this code, one per file; their names begin with `functions/`."""
    return _read("functions", _FUNCTIONS)


def _read(folder: str, prefix: str) -> list[Migration]:
    files = resources.files("argosy.store").joinpath(folder).iterdir()
    found = []
    for file in sorted((each for each in files if each.name.endswith(".sql")), key=lambda each: each.name):
        text = file.read_text(encoding="utf-8")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        found.append(Migration(prefix + file.name.removesuffix(".sql"), text, checksum))
    return found


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing and return the names. Raises StoreUnavailableError, SettingError."""
    connection = await when_ready(lambda: connect(dsn, application="argosy migrate"))
    try:
        await connection.execute(_SQL["lock"], LOCK_KEY)
        await connection.execute(_SQL["create_table"])
        await connection.execute(_SQL["settle_expansions"], EXPANDS_FROM)
        missing = await _missing(connection)
        was_served = await _was_served_before(connection)
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.text)
                if was_served and (migration.name.startswith(_FUNCTIONS) or migration.name >= EXPANDS_FROM):
                    await connection.execute(_SQL["insert_expansion"], migration.name, migration.checksum, EXPANDS_FROM)
                else:
                    await connection.execute(_SQL["insert_migration"], migration.name, migration.checksum)
        return [migration.name for migration in missing]
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise SettingError(f"STATE_DB_URI: this user may not create schema argosy: {error}") from error
    finally:
        connection.terminate()


async def after_restore(dsn: str, heartbeat_ttl_s: float, *, keep_tokens: bool = False) -> int:
    """Raise the lineage of a database that was restored from a backup, and revoke all tokens; how many.

    So nothing of the history that was lost can write or be taken for something new. Two restores of the same backup get
    different lineages if two minutes lie between them. keep_tokens: no token is revoked, so one that was revoked since
    the backup is in force again. Raises StoreUnavailableError, SettingError.
    """
    connection = await when_ready(lambda: connect(dsn, application="argosy migrate"))
    try:
        if not await connection.fetchval(_SQL["has_table"]) or await _missing(connection):
            raise SettingError("the database lacks migrations: run `argosy migrate` first")
        if living := await connection.fetchval(_SQL["count_living"], heartbeat_ttl_s):
            raise SettingError(f"{living} worker(s) were heard of in the last {heartbeat_ttl_s:g} s: stop them first")
        async with connection.transaction():
            await connection.execute(_SQL["raise_restores"])
            kept = "tokens are in force as the backup has them" if keep_tokens else "tokens were revoked"
            await connection.execute(_SQL["audit_restored"], kept)
            return 0 if keep_tokens else int(await connection.fetchval(_SQL["revoke_restored"]))
    except asyncpg.CheckViolationError as error:
        raise SettingError("the lineage cannot be raised any further") from error
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    finally:
        connection.terminate()


async def pending(dsn: str) -> list[str]:
    """Return the names of the migrations and functions that are missing. Raises StoreUnavailableError, SettingError."""
    connection = await when_ready(lambda: connect(dsn, application="argosy migrate"))
    try:
        if not await connection.fetchval(_SQL["has_table"]):
            return [migration.name for migration in (*migrations(), *functions())]
        return [migration.name for migration in await _missing(connection)]
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise SettingError(
            "STATE_DB_URI: this user may not read schema argosy: let its owner run `argosy migrate --grant-to USER`: "
            f"{error}"
        ) from error
    finally:
        connection.terminate()


async def _was_served_before(connection: Any) -> bool:
    """Return whether the version before has migrated this database wholly, and no later version has."""
    applied = {row[0] for row in await connection.fetch(_SQL["list_migrations"])}
    numbered = {name for name in applied if not name.startswith(_FUNCTIONS)}
    return numbered < applied and numbered == {each.name for each in migrations() if each.name < EXPANDS_FROM}


async def _missing(connection: Any) -> list[Migration]:
    if await connection.fetchval(_SQL["has_expansions"]):
        rows = await connection.fetch(_SQL["list_applied"], EXPANDS_FROM)
    else:
        rows = await connection.fetch(_SQL["list_migrations"])
    applied = {row[0]: row[1] for row in rows}
    known = migrations()
    current = functions()
    if newer := sorted(applied.keys() - {each.name for each in (*known, *current)}):
        raise SettingError(
            f"the database was migrated by a newer version of Argosy ({newer[-1]}): start that version, or a newer one"
        )
    for migration in known:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise SettingError(f"migration {migration.name} was changed after it was applied to this database")
    missing = [migration for migration in known if migration.name not in applied]
    return missing + [function for function in current if applied.get(function.name) != function.checksum]
