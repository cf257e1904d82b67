"""Connections to Postgres: a pool for reading and dedicated ones for writing and for locks.

Every connection sees schema `argosy` first, runs without JIT (statements are short), and notices a dead network within
half a minute. A failure to reach the server is StoreUnavailableError, translated here and nowhere else.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from argosy.config import Settings
from argosy.errors import StoreUnavailableError

CONNECT_TIMEOUT_S: Final = 5.0

# What every session asks for.
SESSION_SETTINGS: Final = {
    "search_path": "argosy",
    "jit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
    # A process that stops inside a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "5000",
    # A backend that waits for a lock notices that its client is gone: what was given up takes no effect later.
    "client_connection_check_interval": "1000",
    # Every statement is a few index lookups. With statistics from before a backlog came, the planner would take it for
    # nothing and read all of it, again for each session; or sort a session's whole backlog for its first turn.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}

# What a lost, refused or restarting server looks like.
UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut while the pool cleaned it up
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it starts, stops, crashed, or gave a statement up
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,  # of a connection, never of a statement: it will not have us now
    asyncpg.InvalidCatalogNameError,
)


# What a database looks like that is being restored: whoever waits finds it when it is whole.
_NOT_THERE_YET: Final = (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError)


def unavailable(error: BaseException) -> StoreUnavailableError:
    return StoreUnavailableError(f"Postgres cannot be reached: {type(error).__name__}: {error}")


async def connect(dsn: str, *, application: str = "argosy", timeout_s: float = CONNECT_TIMEOUT_S) -> Any:
    """A connection of its own. Raises StoreUnavailableError."""
    try:
        return await asyncpg.connect(
            dsn, timeout=timeout_s, server_settings={**SESSION_SETTINGS, "application_name": application}
        )
    except UNAVAILABLE as error:
        raise unavailable(error) from error


async def _leave_as_it_is(_connection: Any) -> None:
    """Single statements leave nothing behind in a session: no second round trip to clean it."""


class Pool:
    """Reads, each bounded by STATE_DB_TIMEOUT_S. Usable while the server is away: then it raises."""

    def __init__(self, dsn: str, size: int, timeout_s: float) -> None:
        self._dsn = dsn
        self._size = size
        self._timeout_s = timeout_s
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        async with self._connection() as connection:
            rows: list[Any] = await connection.fetch(statement, *arguments)
            return rows

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        async with self._connection() as connection:
            return await connection.fetchrow(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        async with self._connection() as connection:
            return await connection.fetchval(statement, *arguments)

    async def execute(self, statement: str, *arguments: Any) -> None:
        async with self._connection() as connection:
            await connection.execute(statement, *arguments)

    async def close(self) -> None:
        if self._pool is not None:
            try:
                async with asyncio.timeout(2.0):
                    await self._pool.close()
            except (TimeoutError, *UNAVAILABLE):
                self._pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._pool is None:
                    await self._open()
                connection = await self._pool.acquire()
                try:
                    yield connection
                except BaseException as error:
                    # What was given up in the middle is cut: asyncpg would first ask the server to cancel it, and wait
                    # for a server that may be silent.
                    if not isinstance(error, asyncpg.PostgresError):
                        connection.terminate()
                    raise
                finally:
                    await self._pool.release(connection)
        except (*UNAVAILABLE, *_NOT_THERE_YET) as error:
            raise unavailable(error) from error

    async def _open(self) -> None:
        """The pool itself connects lazily, so a server that is away when a process starts is found when it is back."""
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._size,
                    timeout=CONNECT_TIMEOUT_S,
                    max_inactive_connection_lifetime=300,
                    reset=_leave_as_it_is,
                    server_settings={**SESSION_SETTINGS, "application_name": "argosy"},
                )


@asynccontextmanager
async def open_pool(settings: Settings, dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(dsn, settings.state_db_pool_size, settings.state_db_timeout_s)
    try:
        yield pool
    finally:
        await pool.close()
