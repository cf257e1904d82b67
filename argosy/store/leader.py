"""Leadership of maintenance roles: an advisory lock of a session, and a term.

Raises: StoreUnavailableError (the session is gone, and the lock with it)
"""

import uuid
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.errors import OwnershipLostError
from argosy.store.pool import UNAVAILABLE, Pool, connect, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("leader")
TERM_IS_OVER: Final = "AR002"


class LeaderSeen(NamedTuple):
    """is_held: somebody holds the lock of the role now; otherwise the last leader is gone."""

    role: str
    term: int
    leader: uuid.UUID
    host: str
    pid: int
    since: datetime
    ticked_at: datetime
    outcome: str
    is_held: bool


class LeaderSession:
    """A candidate's connection: what it holds ends with it."""

    def __init__(self, connection: Any, role: str) -> None:
        self._connection = connection
        self._role = role

    @staticmethod
    async def open(dsn: str, role: str, wait_s: float) -> "LeaderSession":
        connection = await connect(dsn, application=f"argosy role {role}")
        session = LeaderSession(connection, role)
        await session._call("lock_timeout", f"{int(wait_s * 1000)}ms")
        return session

    def on_lost(self, callback: Any) -> None:
        """callback() is called once, when the connection has ended."""
        self._connection.add_termination_listener(lambda _: callback())

    async def wait(self) -> bool:
        """True when the role is ours, False when the wait was over before."""
        try:
            await self._call("wait_for_role", self._role)
        except asyncpg.LockNotAvailableError:
            return False
        return True

    async def take_term(self, leader: uuid.UUID, host: str, pid: int) -> int:
        return int(await self._call("take_term", self._role, leader, host, pid))

    async def note_tick(self, term: int, outcome: str) -> bool:
        """False when somebody else leads."""
        return await self._call("note_tick", self._role, term, outcome) is not None

    async def end_silent(self, after_s: float) -> int:
        """End a leader that has said nothing for so long; how many sessions were ended."""
        return int(await self._call("end_silent", self._role, after_s))

    def close(self) -> None:
        self._connection.terminate()

    async def _call(self, name: str, *arguments: Any) -> Any:
        try:
            return await self._connection.fetchval(_SQL[name], *arguments)
        except UNAVAILABLE as error:
            raise unavailable(error) from error


async def list_leaders(pool: Pool) -> list[LeaderSeen]:
    """By role."""
    return [LeaderSeen(*row) for row in await pool.fetch(_SQL["list_leaders"])]


async def write_as(pool: Pool, statement: str, role: str, term: int, *arguments: Any) -> Any:
    """A write of a role: its first value. Raises OwnershipLostError when the term is over: nothing was written."""
    try:
        return await pool.fetchval(statement, role, term, *arguments)
    except asyncpg.PostgresError as error:
        if error.sqlstate == TERM_IS_OVER:
            raise OwnershipLostError(str(error)) from error
        raise
