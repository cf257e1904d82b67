"""A proxy between us and Postgres: one that pools transactions breaks what a session holds.

Locks that say who lives and who leads, and notifications, belong to a session. A proxy that gives every transaction
another backend leaves them behind in one that serves somebody else: nobody would ever die, and everybody would lead.
"""

from typing import Any, Final

import asyncpg

from argosy.errors import SettingError, StoreUnavailableError
from argosy.store.pool import SESSION_SETTINGS, UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("pooler")

# As many transactions at once as make a proxy that takes its idle backends in turns hand out another one.
_HOLDERS: Final = 3
# What a statement meets whose preparation went to another backend.
_MOVED: Final = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
# A proxy may swallow them; what concerns the socket is between it and the server.
_NEEDED: Final = {name: value for name, value in SESSION_SETTINGS.items() if not name.startswith("tcp_")}

_INSTEAD: Final = "name the server itself"


async def refuse_pooler(dsn: str) -> None:
    """Returns when a session here is a session: without a proxy, or with one that pools sessions and leaves them the
    settings that they ask for (or has them from ALTER ROLE … SET). Raises SettingError, StoreUnavailableError.
    """
    opened: list[Any] = []
    try:
        opened.append(await _connect(dsn))
        here = await opened[0].fetchval(_SQL["backend"])
        if here == opened[0].get_server_pid():
            return
        for _ in range(_HOLDERS):
            opened.append(await _connect(dsn))
            await opened[-1].transaction().start()
            there = await opened[-1].fetchval(_SQL["backend"])
            if there == here or await opened[0].fetchval(_SQL["backend"]) != here:
                raise _pools_transactions()
        await _compare_settings(opened[0])
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
                f"STATE_DB_URI: a proxy stands between that refuses the settings of a session ({error.__cause__}): "
                f"{_INSTEAD}"
            ) from error
        raise


async def _compare_settings(connection: Any) -> None:
    found = dict(await connection.fetch(_SQL["list_settings"], list(_NEEDED)))
    lost = [f"{name}={value}" for name, value in _NEEDED.items() if found.get(name) != value]
    if lost:
        raise SettingError(
            f"STATE_DB_URI: a proxy stands between that drops the settings of a session ({', '.join(lost)}): {_INSTEAD}"
        )


def _pools_transactions() -> SettingError:
    return SettingError(
        "STATE_DB_URI: a proxy that pools transactions stands between; Argosy needs sessions of its own (locks that "
        f"say who lives, notifications, prepared statements): {_INSTEAD}, or pool sessions"
    )
