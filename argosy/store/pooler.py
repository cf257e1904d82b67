"""Detects a proxy between Argosy and Postgres that pools transactions, which breaks what a session holds.

The locks that say which worker lives and which process leads, and notifications, belong to a session. A proxy that
gives each transaction another backend leaves them behind in a backend that serves another client: then no worker would
ever count as dead, and every candidate would lead.
"""

from typing import Any, Final

import asyncpg

from argosy.errors import SettingError, StoreUnavailableError
from argosy.store.patience import when_ready
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("pooler")

# So many transactions at once make a proxy that uses its idle backends in turns hand out another backend.
_HOLDERS: Final = 3
# Errors of a statement that was prepared on another backend.
_MOVED: Final = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
)
# Errors for a setting that the server does not know, or that this user may not set.
_REFUSED: Final = (
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.CantChangeRuntimeParamError,
)

_INSTEAD: Final = "name the server itself"


async def refuse_pooler(dsn: str) -> None:
    """Return when a session through this address stays one session: there is no proxy, or one that pools sessions.

    Waits while Postgres has no free connection. Raises SettingError, StoreUnavailableError.
    """
    opened: list[Any] = []
    try:
        opened.append(await when_ready(lambda: _connect(dsn)))
        here = await opened[0].fetchval(_SQL["backend"])
        if here == opened[0].get_server_pid():
            return
        for _ in range(_HOLDERS):
            opened.append(await when_ready(lambda: _connect(dsn)))
            await opened[-1].transaction().start()
            there = await opened[-1].fetchval(_SQL["backend"])
            if there == here or await opened[0].fetchval(_SQL["backend"]) != here:
                raise _pools_transactions()
    except _MOVED:
        raise _pools_transactions() from None
    except UNAVAILABLE as error:
        raise unavailable(error) from error
    finally:
        for each in opened:
            each.terminate()


async def _connect(dsn: str) -> Any:
    try:
        return await connect(dsn, application="argosy preflight")
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, asyncpg.ProtocolViolationError) and "startup parameter" in str(error):
            raise SettingError(
                f"STATE_DB_URI: a proxy before the server refuses the settings of a session ({error.__cause__}): "
                f"{_INSTEAD}"
            ) from error
        if isinstance(error.__cause__, _REFUSED):
            raise SettingError(
                f"STATE_DB_URI: this server refuses a setting of the session ({error.__cause__}): an unknown parameter "
                "in the address, or a server older than PostgreSQL 15"
            ) from error
        raise


def _pools_transactions() -> SettingError:
    return SettingError(
        "STATE_DB_URI: a proxy that pools transactions stands between; Argosy needs sessions of its own (locks that "
        f"say who lives, notifications, prepared statements): {_INSTEAD}, or pool sessions"
    )
