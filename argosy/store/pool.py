"""Connections to Postgres: a pool for reading, and dedicated ones for writing and for locks.

`connect` opens every connection of Argosy, so all have the same settings (session_settings.py). A failure to reach the
server becomes StoreUnavailableError here and nowhere else.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from argosy.config import Settings
from argosy.errors import (
    SettingError,
    StoreBusyError,
    StoreNotReadyError,
    StoreReadOnlyError,
    StoreSlowError,
    StoreUnavailableError,
)
from argosy.process import fork
from argosy.seal.codec import PLAIN, Codec
from argosy.store.dsn import check_dsn
from argosy.store.fault import Fault, fault_of
from argosy.store.queries import load_queries
from argosy.store.session_settings import SESSION_SETTINGS

_SQL: Final = load_queries("session_settings")

# Not a setting: a part of STATE_DB_TIMEOUT_S for a read, and loops try again. So this only says how soon they notice a
# silent server, and signs of life and leaders count on it.
CONNECT_TIMEOUT_S: Final = 5.0

# The errors of a server that is lost, restarting, or refuses the connection.
UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection was cut while asyncpg cleaned it up
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # the server starts, stops, has crashed, or has cancelled a statement
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


# The server is there, but takes no connection yet.
_NOT_READY: Final = (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError)


# object_not_in_prerequisite_state: "recovery is in progress", from pg_current_wal_lsn() before any write is tried.
_IN_RECOVERY: Final = "55000"
# A proxy or another client has changed the session's isolation level (functions/fence.sql).
WRONG_ISOLATION: Final = "AR004"


def is_of_session(error: BaseException) -> bool:
    """Whether another session may do what this one refused: this one is read-only, or has another isolation level."""
    return is_read_only(error) or getattr(error, "sqlstate", None) == WRONG_ISOLATION


def is_read_only(error: BaseException) -> bool:
    """Whether the server refused to write, or is a standby that cannot tell its lineage."""
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError) or getattr(error, "sqlstate", None) == _IN_RECOVERY


def unavailable(error: BaseException) -> StoreUnavailableError:
    """Return the error in Argosy's terms.

    Postgres takes no connection yet, takes no writes, waits for another session's lock, or cannot be reached.
    """
    said = f"{type(error).__name__}: {error}"
    if is_read_only(error):
        return StoreReadOnlyError(f"Postgres is read-only now (a standby, or default_transaction_read_only): {said}")
    if isinstance(error, _NOT_READY):
        return StoreNotReadyError(f"Postgres has no free connection, or is starting: {said}")
    if isinstance(error, asyncpg.LockNotAvailableError):
        return StoreBusyError(f"another session holds a lock that a statement needs: {said}")
    return StoreUnavailableError(f"Postgres cannot be reached: {said}")


async def connect(dsn: str, *, application: str = "argosy", timeout_s: float = CONNECT_TIMEOUT_S) -> Any:
    """Open a connection. Raises StoreUnavailableError, and SettingError for an address that cannot be used."""
    check_dsn(dsn)
    settings = {**SESSION_SETTINGS, "application_name": application}
    connection: Any = None
    try:
        async with asyncio.timeout(timeout_s):
            connection = await asyncpg.connect(dsn, timeout=timeout_s, server_settings=settings)
            fork.own_peer(connection._transport.get_extra_info("peername"))  # asyncpg has no other way to ask
            await connection.execute(_SQL["complete_session"])
            return connection
    except BaseException as error:
        if connection is not None:
            connection.terminate()
        # A ValueError, too, but what is wrong is at the other end, and may be mended there while this process runs.
        if isinstance(error, ssl.SSLCertVerificationError):
            said = f"certificate verify failed: {error.verify_message}"
            raise StoreUnavailableError(
                f"Postgres is not believed to be the one that STATE_DB_URI names: {said}"
            ) from error
        # The driver's error about the address, which it may quote. (It is an InterfaceError, too.)
        if isinstance(error, ValueError) and not isinstance(error, asyncpg.PostgresError):
            raise SettingError(f"STATE_DB_URI cannot be used: {_without_login(dsn, error)}") from None
        # Any error here answers the attempt to connect, not a statement: the server does not take this process now.
        if isinstance(error, (*UNAVAILABLE, asyncpg.PostgresError)):
            raise unavailable(error) from error
        raise


def _without_login(dsn: str, error: ValueError) -> str:
    """Return what the driver said, unless it may quote a user name or a password."""
    login = dsn.partition("://")[2].rpartition("@")[0]
    said = str(error).splitlines()[0] if str(error) else ""
    is_quoted = any(
        part and part in said for part in (*re.split("[:@/?#&=]", login), *re.findall(r"word=([^&]+)", dsn))
    )
    return "the driver cannot read it" if is_quoted or not said else said


class Pool:
    """Reads, each bounded by STATE_DB_TIMEOUT_S. Can be used while the server is away: each read raises then.

    Bounds: `size` connections, opened when they are needed; a connection that was not needed for idle_s is closed.

    It is not asyncpg's own pool, which wraps each connection and cleans up what a statement may have left behind in its
    session. That costs 50 µs of CPU per read, as much as all the rest of a small one, and single statements leave
    nothing behind.

    seals: seals and opens the payloads that are written and read here (argosy/seal).
    """

    seals: Codec = PLAIN

    def __init__(self, dsn: str, size: int, timeout_s: float, *, idle_s: float = 300.0) -> None:
        self._dsn = dsn
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._free = asyncio.Semaphore(size)
        # (connection, since when it is idle), the last used at the end: it is used again first.
        self._idle: deque[tuple[Any, float]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    def seal_with(self, codec: Codec) -> None:
        """Seal and open payloads with this codec from now on."""
        self.seals = codec

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        rows: list[Any] = await self._read("fetch", statement, arguments)
        return rows

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        return await self._read("fetchrow", statement, arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        return await self._read("fetchval", statement, arguments)

    async def execute(self, statement: str, *arguments: Any) -> None:
        await self._read("execute", statement, arguments)

    async def close(self) -> None:
        """Close the idle connections. Reads under way run to their end, and their connections are closed then."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        try:
            async with asyncio.timeout(2.0):
                await asyncio.gather(*(connection.close() for connection, _ in self._idle))
        except UNAVAILABLE:
            pass
        finally:
            for connection, _ in self._idle:
                connection.terminate()
            self._idle.clear()

    async def _read(self, how: str, statement: str, arguments: tuple[Any, ...]) -> Any:
        is_asked = False
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                if self._is_closed:
                    raise StoreUnavailableError("this process is ending and reads nothing more")
                connection = self._take() or await connect(self._dsn)
                is_asked = True
                try:
                    return await getattr(connection, how)(statement, *arguments)
                except BaseException as error:
                    # Cut the connection of a read that was given up: asyncpg would first ask the server to cancel it,
                    # and wait for a server that may be silent.
                    if not isinstance(error, asyncpg.PostgresError) or is_of_session(error):
                        connection.terminate()
                    if is_of_session(error):
                        raise unavailable(error) from error
                    raise
                finally:
                    self._give_back(connection)
        except StoreUnavailableError:
            raise
        except Exception as error:
            fault = fault_of(error)
            if fault is Fault.SLOW or (is_asked and isinstance(error, TimeoutError)):
                words = f"Postgres did not finish a read: {type(error).__name__}: {error}"
                raise StoreSlowError(words) from error
            if fault is Fault.AWAY:
                raise unavailable(error) from error
            raise

    def _take(self) -> Any:
        """Return an idle connection that is open, or None."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def _give_back(self, connection: Any) -> None:
        if self._is_closed:
            connection.terminate()
        elif not connection.is_closed():
            loop = asyncio.get_running_loop()
            self._idle.append((connection, loop.time()))
            if self._sweep is None:
                self._sweep = loop.call_later(self._idle_s, self._close_old)

    def _close_old(self) -> None:
        """Close connections that were idle for idle_s, and run again when the next one will be due."""
        loop = asyncio.get_running_loop()
        self._sweep = None
        while self._idle and loop.time() - self._idle[0][1] >= self._idle_s:
            self._idle.popleft()[0].terminate()
        if self._idle:
            self._sweep = loop.call_at(self._idle[0][1] + self._idle_s, self._close_old)


@asynccontextmanager
async def open_pool(settings: Settings, dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(dsn, settings.state_db_pool_size, settings.state_db_timeout_s, idle_s=settings.state_db_idle_s)
    try:
        yield pool
    finally:
        await pool.close()
