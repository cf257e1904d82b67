"""A numbered stream of calls: each takes effect once, however often it has to be sent.

The number of a call is stored with its answer in the transaction of its effect (flush_streams). So after an unknown
outcome (the connection was cut after the call was sent, or it timed out) the very same call is sent again: it waits for
the old backend's row lock, and either does the work or returns the stored answer.

Invariants:
- one call at a time; the next number is used only after the last one's answer is here;
- a call that Postgres refuses for its contents took no number: the next call has it.
"""

import asyncio
import uuid
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import structlog

from argosy import telemetry
from argosy.errors import FlushRefusedError, OwnershipLostError, StoreUnavailableError
from argosy.store.pool import UNAVAILABLE, connect, unavailable
from argosy.store.queries import load_queries

log = structlog.get_logger()

_SQL: Final = load_queries("stream")
_NAMES: Final = {1: "accept", 2: "flush"}
_RETRY_S_MIN, _RETRY_S_MAX = 0.05, 2.0
_WRONG_NUMBER: Final = "AR001"
# Whoever stands between has changed the session's isolation: another session may have what it asks for.
_WRONG_ISOLATION: Final = "AR004"
# Nothing is wrong with the call: the same one may succeed later, on the same connection.
_AGAIN: Final = (
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,  # the disk is full
    asyncpg.PostgresSystemError,
)


class Answer(NamedTuple):
    """What accept and flush answer; see flush_answer in migrations/0001_spine.sql."""

    lineage: int
    at: datetime
    held: list[bool] | None
    applied: list[bool] | None
    places: list[int | None] | None
    heads: list[bool] | None


class NumberedStream:
    """Stream 1 carries accepts, 2 the rest. A connection of its own, opened anew when it is lost."""

    def __init__(self, dsn: str, worker_id: uuid.UUID, stream: int, *, timeout_s: float) -> None:
        self._dsn = dsn
        self._worker_id = worker_id
        self._stream = stream
        self._timeout_s = timeout_s
        self._no = 0
        self._connection: Any = None
        self._statements: dict[str, Any] = {}
        self._is_calling = False
        self._count_repeated = telemetry.FLUSHES_REPEATED.labels(stream=_NAMES[stream]).inc

    async def open(self) -> datetime:
        """Begin at number 0; the database's time. Raises StoreUnavailableError."""
        await self._connect()
        try:
            at: datetime = await self._connection.fetchval(_SQL["open_stream"], self._worker_id, self._stream)
        except UNAVAILABLE as error:
            raise unavailable(error) from error
        return at

    async def call(self, statement: str, *arguments: Any) -> Answer:
        """Send until there is an answer; goes on while Postgres is away.

        Raises OwnershipLostError when the database does not know the last number (it went back in time: everything
        owned is void), FlushRefusedError when it refuses what the call contains (nothing was changed, no number
        was used).
        """
        if self._is_calling:
            raise RuntimeError("one call at a time")
        self._is_calling = True
        no = self._no + 1
        delay_s = 0.0
        try:
            while True:
                if delay_s:
                    self._count_repeated()
                    log.warning(telemetry.FLUSH_REPEATED, stream=_NAMES[self._stream], no=no)
                    await asyncio.sleep(delay_s)
                try:
                    row = await self._send(statement, no, arguments)
                except asyncpg.PostgresError as error:
                    if error.sqlstate == _WRONG_NUMBER:
                        raise OwnershipLostError(str(error)) from error
                    if not isinstance(error, (*UNAVAILABLE, *_AGAIN)) and error.sqlstate != _WRONG_ISOLATION:
                        raise FlushRefusedError(f"{error.sqlstate}: {error}") from error
                    log.warning(telemetry.STORE_UNAVAILABLE, error=str(unavailable(error)))
                    if not isinstance(error, _AGAIN):
                        self._drop()
                except asyncpg.InterfaceError as error:
                    if self._connection is not None and not self._connection.is_closed():
                        raise FlushRefusedError(str(error)) from error  # the client could not encode it
                    self._drop()
                except (*UNAVAILABLE, StoreUnavailableError) as error:
                    log.warning(telemetry.STORE_UNAVAILABLE, error=f"{type(error).__name__}: {error}")
                    self._drop()
                else:
                    self._no = no
                    return Answer(*row)
                delay_s = min(max(_RETRY_S_MIN, delay_s * 2), _RETRY_S_MAX)
        finally:
            self._is_calling = False

    async def close(self) -> None:
        """Close the connection and forget the stream."""
        if self._connection is None:
            return
        try:
            async with asyncio.timeout(2.0):
                await self._connection.execute(_SQL["close_stream"], self._worker_id, self._stream)
                await self._connection.close()
        except UNAVAILABLE:
            self._drop()

    async def _send(self, statement: str, no: int, arguments: tuple[Any, ...]) -> Any:
        async with asyncio.timeout(self._timeout_s):
            if self._connection is None or self._connection.is_closed():
                await self._connect()
                # A backend of ours that still works for a lost connection may hold the stream's row for long.
                await self._connection.execute(_SQL["end_blockers"], self._worker_id, self._stream)
            prepared = self._statements.get(statement)
            if prepared is None:
                prepared = self._statements[statement] = await self._connection.prepare(statement)
            return await prepared.fetchrow(self._worker_id, no, *arguments)

    async def _connect(self) -> None:
        self._drop()
        self._connection = await connect(self._dsn, application=f"argosy {_NAMES[self._stream]} {self._worker_id}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._statements = {}
