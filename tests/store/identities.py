"""Tenants and tokens for tests, and writes that meet: some at once, one behind another that is not committed."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

from argosy.errors import ArgosyError
from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.store.audit import Act, list_audit
from argosy.store.identity import Identities, NewSuccessor, NewToken, TokenRow
from argosy.store.pool import Pool, connect
from argosy.store.queries import load_queries

T = TypeVar("T")
TENANT: Final = "default"
DAY_S: Final = 86_400.0
WAIT_S: Final = 10.0
NONE: Final = uuid.UUID(int=7)


class Store(NamedTuple):
    """The store of a test, and the database below it."""

    dsn: str
    pool: Pool
    identities: Identities

    async def rows(self, statement: str, *arguments: object) -> list[Any]:
        return [tuple(row) for row in await self.pool.fetch(statement, *arguments)]

    async def token(self, tenant: str | None = TENANT) -> TokenRow:
        return await self.identities.create_token(new(tenant), act("token.create"))

    async def found(self, token: TokenRow) -> TokenRow:
        row = await self.identities.get_token(token.token_id, None)
        assert row is not None
        return row

    async def told(self) -> list[tuple[str, str]]:
        """Actions and their targets, in their order."""
        return [(each.act.action, each.act.target) for each in reversed(await list_audit(self.pool, None, None, 100))]


def act(action: str = "token.revoke", target: str = "", tenant: str | None = TENANT) -> Act:
    return Act("token", "who", NONE, tenant, action, target, request_id="req-1", source="192.0.2.1")


def new(tenant: str | None = TENANT, lifetime_s: float | None = 90 * DAY_S) -> NewToken:
    token = mint(TokenKind.ADMIN if tenant is None else TokenKind.TENANT)
    rights = ("user", ["graphs:read"], ["support-*"], ["echo"])
    return NewToken(uuid.uuid4(), digest(token), tenant, "of a program", *rights, hint(token), "who", lifetime_s)


def successor(lifetime_s_max: float | None = None) -> NewSuccessor:
    token = mint(TokenKind.TENANT)
    return NewSuccessor(uuid.uuid4(), digest(token), hint(token), "who", lifetime_s_max)


async def outcomes(store: Store, *writes: Awaitable[Any]) -> list[Any]:
    """What each write returned, all of which began before any of them could go on; of one that was refused, the class
    of the error.
    """
    connection = await connect(store.dsn)
    await asyncio.gather(*(store.pool.fetchval("SELECT 1") for _ in writes))  # a connection for each
    await connection.execute("BEGIN")
    await connection.execute("SELECT FROM identity_changes FOR UPDATE")
    begun = [asyncio.ensure_future(each) for each in writes]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(WAIT_S):
        while await store.pool.fetchval(waiting) < len(writes):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await connection.execute("COMMIT")
    connection.terminate()
    done = await asyncio.gather(*begun, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException) and not isinstance(each, ArgosyError):
            raise each
    return [type(each) if isinstance(each, ArgosyError) else each for each in done]


async def behind(store: Store, first: str, second: Callable[[], Awaitable[T]], *arguments: object) -> T:
    """What `second` answers that was sent while the write `first` was not committed, and waited for it."""
    connection = await connect(store.dsn)
    try:
        await connection.execute("BEGIN")
        await connection.fetch(first, *arguments)
        waiting = asyncio.ensure_future(second())
        pid = connection.get_server_pid()
        async with asyncio.timeout(WAIT_S):
            blocked = "SELECT 1 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))"
            while not await store.pool.fetch(blocked, pid):
                assert not waiting.done()
                await asyncio.sleep(0.01)
        await connection.execute("COMMIT")
        return await asyncio.wait_for(waiting, WAIT_S)
    finally:
        connection.terminate()


def write(name: str, *values: object) -> tuple[str, tuple[object, ...]]:
    """A statement of the store with its arguments, for a connection whose transaction a test keeps open."""
    return load_queries("identity")[name], values
