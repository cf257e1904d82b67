"""A numbered stream of calls: each takes effect once, however often it has to be sent.

Postgres stores the number of a call and its answer in the transaction of its effect (flush_streams). So after an
unknown outcome (the connection was cut after the call was sent, or the call timed out) the worker sends the very same
call again: it waits for the row lock of the old backend, and then either does the work or returns the stored answer.

Invariants:
- One call at a time: the next number is used only after the answer to the last one.
- A call that Postgres refuses for its contents has taken no number: the next call gets it.
- A call that Postgres does not finish is given up, but first made void: an empty call is sent under its number.
  Either the empty call takes the number, and the given-up one never takes effect, however late it arrives; or the
  given-up call had taken effect, and the empty one gets its answer, which shows in that `held` is not empty.
"""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple

import asyncpg
import structlog

from argosy import telemetry
from argosy.errors import FlushRefusedError, FlushSlowError, OwnershipLostError
from argosy.process import fork
from argosy.seal.codec import PLAIN, Codec
from argosy.store.fault import Fault, fault_of
from argosy.store.pool import UNAVAILABLE, connect, is_of_session, unavailable
from argosy.store.queries import load_queries

log = structlog.get_logger()

_SQL: Final = load_queries("stream")
_NAMES: Final = {1: "accept", 2: "flush"}
_RETRY_S_MIN, _RETRY_S_MAX = 0.05, 2.0
_WRONG_NUMBER: Final = "AR001"
# After these errors the connection can be used again.
_SAME_CONNECTION: Final = (
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    asyncpg.PostgresSystemError,
)
_TRIES_MAX: Final = 2  # tries of a call that Postgres does not finish, before the stream gives it up


class Answer(NamedTuple):
    """The answer of accept and flush; see flush_answer in migrations/0001_spine.sql."""

    lineage: int
    at: datetime
    held: list[bool] | None
    applied: list[bool] | None
    places: list[int | None] | None
    heads: list[bool] | None


class _Trouble(Enum):
    AWAY = "away"  # try the same again
    UNDONE = "undone"  # Postgres did not finish the call, and rolled it back
    UNKNOWN = "unknown"  # the call was sent, and what became of it is not known


class NumberedStream:
    """One stream of a worker: 1 carries accepts, 2 the rest. Its own connection is opened again after a loss. seals:
    who makes a call asks it to seal the payloads in its arguments.
    """

    seals: Codec = PLAIN

    def __init__(self, dsn: str, worker_id: uuid.UUID, stream: int, *, timeout_s: float, seals: Codec = PLAIN) -> None:
        self.seals = seals
        self._dsn = dsn
        self._worker_id = worker_id
        self._stream = stream
        self._timeout_s = timeout_s
        self._fork_depth = fork.depth
        self._no = 0
        self._connection: Any = None
        self._statements: dict[str, Any] = {}
        self._is_calling = False
        self._is_asked = False
        self._count_repeated = telemetry.FLUSHES_REPEATED.labels(stream=_NAMES[stream]).inc

    async def open(self) -> datetime:
        """Begin at number 0 and return the database's time. Raises StoreUnavailableError."""
        await self._connect()
        try:
            at: datetime = await self._connection.fetchval(_SQL["open_stream"], self._worker_id, self._stream)
        except UNAVAILABLE as error:
            raise unavailable(error) from error
        return at

    async def call(self, statement: str, *arguments: Any, void: Sequence[Any] | None = None) -> Answer:
        """Send a call until there is an answer, also while Postgres is away.

        void: the arguments of a call that does nothing and names no partition. With it, a call that Postgres does not
        finish is given up after two tries.

        Raises OwnershipLostError when the database does not know the last number (it went back in time: everything
        owned is void), FlushRefusedError when it refuses the contents of the call, FlushSlowError when it does not
        finish the call (nothing was changed).
        """
        if self._is_calling:
            raise RuntimeError("one call at a time")
        self._is_calling = True
        try:
            return await self._insist(statement, self._no + 1, arguments, void)
        finally:
            self._is_calling = False

    async def _insist(self, statement: str, no: int, arguments: Sequence[Any], void: Sequence[Any] | None) -> Answer:
        delay_s, failures, is_unknown = 0.0, 0, False
        given_up: Exception | None = None
        while True:
            if delay_s:
                self._count_repeated()
                log.warning(telemetry.FLUSH_REPEATED, stream=_NAMES[self._stream], no=no)
                await asyncio.sleep(delay_s)
            self._is_asked = False
            try:
                row = await self._send(statement, no, arguments if given_up is None or void is None else void)
            except Exception as error:
                trouble = self._judge(error, is_void=given_up is not None)
                failures += trouble is not _Trouble.AWAY
                is_unknown = is_unknown or trouble is _Trouble.UNKNOWN
                if void is not None and failures >= _TRIES_MAX and given_up is None:
                    if not is_unknown:
                        raise FlushSlowError(f"{type(error).__name__}: {error}") from error
                    given_up = error
            else:
                self._no = no
                answer = Answer(*row)
                if given_up is not None and not answer.held:
                    is_slow = fault_of(given_up) in (Fault.AWAY, Fault.SLOW)
                    kind = FlushSlowError if is_slow else FlushRefusedError
                    raise kind(f"{type(given_up).__name__}: {given_up}") from given_up
                return answer
            delay_s = min(max(_RETRY_S_MIN, delay_s * 2), _RETRY_S_MAX)

    def _judge(self, error: Exception, *, is_void: bool) -> "_Trouble":
        """Return what became of a call that got no answer. Raises OwnershipLostError, FlushRefusedError."""
        fault = fault_of(error)
        sqlstate = error.sqlstate if isinstance(error, asyncpg.PostgresError) else None
        if sqlstate == _WRONG_NUMBER:
            raise OwnershipLostError(str(error)) from error
        log.warning(
            telemetry.STORE_UNAVAILABLE,
            error=str(unavailable(error)),
            exc_info=error if fault is Fault.BUG and sqlstate is None else None,
        )
        if is_of_session(error):
            self._drop()
            return _Trouble.AWAY
        if sqlstate and fault in (Fault.CONTENT, Fault.BUG) and not is_void:
            raise FlushRefusedError(f"{sqlstate}: {error}") from error
        if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError) and not is_void:
            raise FlushRefusedError(str(error)) from error  # asyncpg could not encode an argument
        if isinstance(error, _SAME_CONNECTION):
            return _Trouble.UNDONE if fault is Fault.SLOW else _Trouble.AWAY
        self._drop()
        if isinstance(error, TimeoutError):
            return _Trouble.UNKNOWN if self._is_asked else _Trouble.AWAY
        if fault is Fault.SLOW:
            return _Trouble.UNDONE
        return _Trouble.AWAY if fault is Fault.AWAY else _Trouble.UNKNOWN

    async def close(self) -> None:
        """Delete the stream's row and close the connection."""
        if self._connection is None:
            return
        try:
            async with asyncio.timeout(2.0):
                await self._connection.execute(_SQL["close_stream"], self._worker_id, self._stream)
                await self._connection.close()
        except UNAVAILABLE:
            self._drop()

    async def _send(self, statement: str, no: int, arguments: Sequence[Any]) -> Any:
        async with asyncio.timeout(self._timeout_s):
            if self._connection is None or self._connection.is_closed():
                await self._connect()
                # A backend of a lost connection that still works may hold the lock of the stream's row for long.
                await self._connection.execute(_SQL["end_blockers"], self._worker_id, self._stream)
            prepared = self._statements.get(statement)
            if prepared is None:
                prepared = self._statements[statement] = await self._connection.prepare(statement)
            self._is_asked = True
            return await prepared.fetchrow(self._worker_id, no, *arguments)

    async def _connect(self) -> None:
        if self._fork_depth != fork.depth:
            raise RuntimeError("this stream was opened before a fork: its numbers are the parent's")
        self._drop()
        self._connection = await connect(self._dsn, application=f"argosy {_NAMES[self._stream]} {self._worker_id}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._statements = {}
