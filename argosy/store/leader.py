"""Leadership of maintenance roles: a session's advisory lock, and a term.

Raises: StoreUnavailableError (the session is gone, and the lock with it)
"""

import asyncio
import uuid
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.errors import OwnershipLostError, StoreUnavailableError
from argosy.store.pool import UNAVAILABLE, Pool, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("leader")
_TERM_IS_OVER: Final = "AR002"
_CALL_S: Final = 5.0  # bound of one call beyond its wait for a lock: a network that went silent is a lost session
_WRITE_WAIT: Final = "3s"  # lock_timeout of a new leader: a write of the former one waits no longer than that itself
_OUTCOME_SIZE_MAX: Final = 300  # a line that an operator reads
# Another transaction is in the way, or the disk is full: the same write may succeed later.
_BUSY: Final = (
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
)


class LeaderSeen(NamedTuple):
    """A role's leader. ticked_at: None before the first tick of the term.

    is_held: whether any session holds the lock of the role now; if none does, this leader is gone.
    """

    role: str
    term: int
    worker_id: uuid.UUID
    host: str
    pid: int
    since: datetime
    ticked_at: datetime | None
    outcome: str
    is_held: bool


class Look(NamedTuple):
    """What a look at a role found. waiting: other candidates; ended: sessions of stopped leaders that it ended."""

    waiting: int
    ended: int


class LeaderSession:
    """A candidate's connection, used for nothing else: the lock that it holds ends with it.

    Calls run one after the other. lost: set when the connection has ended, in whatever way.
    """

    def __init__(self, connection: Any, role: str) -> None:
        self._connection = connection
        self._role = role
        self._calling = asyncio.Lock()
        self.lost = asyncio.Event()
        connection.add_termination_listener(lambda _: self.lost.set())

    @staticmethod
    async def open(dsn: str, role: str) -> "LeaderSession":
        return LeaderSession(await connect(dsn, application=f"argosy role {role}"), role)

    async def wait(self, within_s: float) -> bool:
        """Wait for the role. True when this session has it, False after within_s."""
        await self._call("set_wait", f"{max(1, round(within_s * 1000))}ms")
        try:
            await self._call("wait_for_role", self._role, within_s=within_s)
        except asyncpg.LockNotAvailableError:
            return False
        return True

    async def look(self, silent_s: float) -> Look:
        """Count the other candidates, and end a leader whose session has sent nothing for silent_s seconds.

        Such a leader has stopped, and would keep its lock.
        """
        return Look(*await self._call("look_at_role", self._role, silent_s))

    async def take_term(self, worker_id: uuid.UUID, host: str, pid: int) -> int:
        """Begin a new term and return it. From here on nothing can be written under an earlier term."""
        await self._call("set_wait", _WRITE_WAIT)
        row = await self._write("take_term", worker_id, host, pid)
        return int(row[0])

    async def has_term(self, term: int) -> bool:
        """Whether this term is still the current one. Raises StoreUnavailableError when the session is gone."""
        return bool((await self._call("has_term", self._role, term))[0])

    async def note_tick(self, term: int, outcome: str) -> bool:
        """Write down how a tick came out. False when another process leads."""
        return await self._write("note_tick", term, outcome[:_OUTCOME_SIZE_MAX]) is not None

    def close(self) -> None:
        self._connection.terminate()

    async def _write(self, name: str, *arguments: Any) -> Any:
        try:
            return await self._call(name, self._role, *arguments)
        except _BUSY as error:
            raise unavailable(error) from error

    async def _call(self, name: str, *arguments: Any, within_s: float = 0.0) -> Any:
        try:
            async with self._calling, asyncio.timeout(within_s + _CALL_S):
                return await self._connection.fetchrow(_SQL[name], *arguments)
        except UNAVAILABLE as error:
            raise unavailable(error) from error


async def list_leaders(pool: Pool) -> list[LeaderSeen]:
    """Return the leaders, in the order of their roles."""
    return [LeaderSeen(*row) for row in await pool.fetch(_SQL["list_leaders"])]


async def is_led(pool: Pool, role: str) -> bool:
    """Whether a process leads a role now."""
    return bool(await pool.fetchval(_SQL["is_led"], role))


def refused(error: asyncpg.PostgresError) -> Exception:
    """Return the exception to raise for a write under a term that failed.

    OwnershipLostError when the term is over (nothing was written), StoreUnavailableError when another transaction was
    in the way or the disk is full, otherwise the error itself.
    """
    if error.sqlstate == _TERM_IS_OVER:
        return OwnershipLostError(str(error))
    return StoreUnavailableError(str(error)) if isinstance(error, _BUSY) else error


async def write_as(pool: Pool, statement: str, role: str, term: int, *arguments: Any) -> Any:
    """Write under a role's term and return the first value.

    Raises OwnershipLostError when the term is over: nothing was written.
    """
    try:
        return await pool.fetchval(statement, role, term, *arguments)
    except asyncpg.PostgresError as error:
        raise refused(error) from error


async def rows_as(pool: Pool, statement: str, role: str, term: int, *arguments: Any) -> list[Any]:
    """Write as write_as, and return all rows."""
    try:
        return list(await pool.fetch(statement, role, term, *arguments))
    except asyncpg.PostgresError as error:
        raise refused(error) from error
