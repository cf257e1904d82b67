"""One connection of the Postgres log, opened again after it is lost. Store errors become LogUnavailableError here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from argosy.errors import LogUnavailableError, StoreUnavailableError
from argosy.store.pool import UNAVAILABLE, connect, unavailable

T = TypeVar("T")


class LossListener(Protocol):
    """Who must know when a connection ends."""

    def connection_lost(self) -> None:
        """Note that a connection has ended, and the locks of its session with it."""


class PostgresConnection:
    """Makes calls one after the other. A call after a loss opens a new connection.

    listener: told of each connection that ends, on the loop that opened it.
    """

    def __init__(self, dsn: str, application: str, timeout_s: float, listener: LossListener | None = None) -> None:
        self._dsn = dsn
        self._application = application
        self._timeout_s = timeout_s
        self._listener = listener
        self._connection: Any = None
        self._calling = asyncio.Lock()

    async def open(self) -> Any:
        """Return the connection, a new one when the last was lost. Raises LogUnavailableError."""
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await connect(self._dsn, application=self._application)
            except StoreUnavailableError as error:
                raise LogUnavailableError(str(error)) from error
            if (listener := self._listener) is not None:
                self._connection.add_termination_listener(lambda _: listener.connection_lost())
        return self._connection

    async def call(self, statement: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Return statement(connection, *arguments), for statements that may be repeated. Raises LogUnavailableError."""
        async with self._calling:
            connection = await self.open()
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await statement(connection, *arguments)
            except UNAVAILABLE as error:
                # Whatever its state is: its session, which may hold a member's lock, must not linger.
                self.terminate()
                raise LogUnavailableError(f"the Postgres log: {unavailable(error)}") from error
            except asyncio.CancelledError:
                self.terminate()
                raise

    def terminate(self) -> None:
        """Close the connection at once, without a good-bye to the server."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
