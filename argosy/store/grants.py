"""What roles of the database may do that own nothing of it: the fleet's, and that of `argosy maintain`.

Whoever owns the tables migrates them, and nobody else: the fleet's role makes, alters and drops nothing, changes and
deletes no row of the audit, and says of no migration that it was applied. All functions run with the rights of who
calls them.
"""

from typing import Any, Final

import asyncpg

from argosy.errors import SettingError
from argosy.store.migrate import LOCK_KEY
from argosy.store.patience import when_ready
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("grants")


async def grant(dsn: str, role: str, *, is_of_maintenance: bool = False) -> None:
    """Give a role what it needs in a database that was migrated, and take what it has beyond that, in one transaction.
    Safe to repeat, while the fleet runs, and in several processes at once. Raises SettingError, StoreUnavailableError.
    """
    connection = await when_ready(lambda: connect(dsn, application="argosy migrate"))
    try:
        if not await connection.fetchval(_SQL["has_role"], role):
            raise SettingError(f"the database has no role {role}: CREATE ROLE {role} LOGIN")
        if await connection.fetchval(_SQL["is_owner"], role):
            raise SettingError(f"role {role} is a superuser, or is the owner of schema argosy or may become it")
        async with connection.transaction():
            await connection.execute(_SQL["lock"], LOCK_KEY)
            await _execute(connection, "list_fleet_grants", role)
            if is_of_maintenance:
                await _execute(connection, "list_maintenance_grants", role)
    except asyncpg.InsufficientPrivilegeError as error:
        raise SettingError(f"STATE_DB_URI: this user may not give rights to {role}, the owner does: {error}") from error
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    finally:
        connection.terminate()


async def _execute(connection: Any, statements: str, role: str) -> None:
    for row in await connection.fetch(_SQL[statements], role):
        await connection.execute(row[0])
