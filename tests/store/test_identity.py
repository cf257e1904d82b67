"""Tenants, tokens and the audit: writes come one after the other, and nothing that has ended comes back."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import pytest

from argosy.errors import ArgosyError, OwnershipLostError, StoreBusyError
from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.identity.errors import (
    TenantExistsError,
    TenantNotFoundError,
    TokenNotFoundError,
    TokenRotatedError,
    TooManyTokensError,
)
from argosy.identity.tenant import TenantState
from argosy.identity.tenant_limits import TenantLimits
from argosy.store.audit import REFUSALS_MAX, Act, Refusals, audit, list_audit, note_refusals, purge_audit
from argosy.store.identity import Identities, NewSuccessor, NewToken, TokenRow
from argosy.store.migrate import after_restore
from argosy.store.pool import Pool, connect
from argosy.store.queries import load_queries
from tests.maintenance.term import term_of

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


@pytest.fixture
async def store(store_dsn: str) -> AsyncIterator[Store]:
    pool = Pool(store_dsn, 16, 30.0)
    yield Store(store_dsn, pool, Identities(pool, 5))
    await pool.close()


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


async def test_a_token_is_found_by_its_hash_with_its_tenant_and_is_stored_nowhere(store: Store) -> None:
    made = new()
    row = await store.identities.create_token(made, act("token.create", str(made.token_id)))

    assert row == TokenRow(
        made.token_id, made.hash, TENANT, "of a program", "user",
        ("graphs:read",), ("support-*",), ("echo",), made.hint,
        row.created_at, "who", row.created_at + timedelta(days=90), None, None, None, None, row.change_no,
    )  # fmt: skip
    tenant = await store.identities.get_tenant(TENANT)
    assert await store.identities.find_token(made.hash) == (row, tenant)
    assert await store.identities.find_token(b"\0" * 32) is None
    assert await store.told() == [("token.create", str(made.token_id))]


async def test_a_token_of_the_installation_has_no_tenant_and_may_last_for_ever(store: Store) -> None:
    made = new(None, None)
    row = await store.identities.create_token(made, act("token.create", tenant=None))

    assert (row.tenant, row.expires_at) == (None, None)
    assert await store.identities.find_token(made.hash) == (row, None)


async def test_a_token_is_seen_by_its_tenant_alone(store: Store) -> None:
    await store.identities.create_tenant("acme", act("tenant.create", "acme"))
    mine, other, admin = await store.token(), await store.token("acme"), await store.token(None)

    for token in (other, admin):
        assert await store.identities.get_token(token.token_id, TENANT) is None
        with pytest.raises(TokenNotFoundError):
            await store.identities.revoke_token(token.token_id, TENANT, act())
        with pytest.raises(TokenNotFoundError):
            await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
        assert await store.found(token) == token
    assert await store.identities.list_tokens(TENANT, None, 10) == [mine]
    everybody = sorted((mine, other, admin), key=lambda each: each.token_id)
    assert await store.identities.list_tokens(None, None, 10) == everybody
    assert await store.identities.list_tokens(None, everybody[0].token_id, 1) == everybody[1:2]


async def test_a_tenant_is_told_what_an_administrator_did_to_its_tokens(store: Store) -> None:
    one, other = await store.token(), await store.token()
    before = len(await list_audit(store.pool, TENANT, None, 10))
    await store.identities.rotate_token(one.token_id, None, successor(), DAY_S, act("token.rotate", tenant=None))
    await store.identities.revoke_token(other.token_id, None, act("token.revoke", tenant=None))

    told = await list_audit(store.pool, TENANT, None, 10)
    assert [each.act.action for each in told[:-before]] == ["token.revoke", "token.rotate"]


async def test_a_tenant_that_is_not_there_gets_no_token(store: Store) -> None:
    with pytest.raises(TenantNotFoundError):
        await store.token("acme")

    assert (await store.identities.list_tokens(None, None, 10), await store.told()) == ([], [])


async def test_a_revocation_is_told_once(store: Store) -> None:
    token = await store.token()
    await store.identities.revoke_token(token.token_id, TENANT, act(target="1"))
    revoked = await store.found(token)
    await store.identities.revoke_token(token.token_id, TENANT, act(target="2"))

    assert revoked.revoked_at is not None
    assert (revoked.revoked_by, await store.found(token)) == ("who", revoked)
    assert (await store.told())[1:] == [("token.revoke", "1")]


async def test_a_rotation_gives_the_same_rights_and_lets_both_live_for_a_while(store: Store) -> None:
    token, next_one = await store.token(), successor()
    made = await store.identities.rotate_token(token.token_id, TENANT, next_one, DAY_S, act("token.rotate"))
    old = await store.found(token)

    assert made[2:8] == token[2:8]
    assert (made.token_id, made.hash, made.hint) == next_one[:3]
    assert made.expires_at == made.created_at + timedelta(days=90)
    assert old.replaced_by == made.token_id
    assert old.expires_at == made.created_at + timedelta(days=1)
    assert token.change_no < old.change_no < made.change_no


async def test_lists_take_a_token_and_all_that_take_its_place_for_one(store: Store) -> None:
    token = first = await store.token()
    for _ in range(3):
        token = await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
        assert (token.subject_id, await store.found(token)) == (first.token_id, token)
    assert first.subject_id is None
    await store.rows("UPDATE tokens SET subject_id = NULL WHERE token_id = $1 RETURNING 1", token.token_id)
    made_before = await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
    assert made_before.subject_id == token.token_id


async def test_a_rotation_does_not_lengthen_the_life_of_the_old_one(store: Store) -> None:
    token = await store.identities.create_token(new(lifetime_s=3_600.0), act("token.create"))
    made = await store.identities.rotate_token(token.token_id, TENANT, successor(), 30 * DAY_S, act())

    assert (await store.found(token)).expires_at == token.expires_at
    assert made.expires_at == made.created_at + timedelta(hours=1)


@pytest.mark.parametrize("lifetime_s", [None, 90 * DAY_S])
async def test_a_successor_lives_for_as_long_as_is_allowed_now(store: Store, lifetime_s: float | None) -> None:
    token = await store.identities.create_token(new(lifetime_s=lifetime_s), act("token.create"))
    made = await store.identities.rotate_token(token.token_id, TENANT, successor(DAY_S), 60.0, act())

    assert made.expires_at == made.created_at + timedelta(days=1)


async def test_a_token_that_has_ended_gets_no_successor(store: Store) -> None:
    revoked, expired = await store.token(), await store.token()
    await store.identities.revoke_token(revoked.token_id, TENANT, act())
    await store.rows(
        "UPDATE tokens SET expires_at = clock_timestamp() WHERE token_id = $1 RETURNING 1", expired.token_id
    )

    for token in (revoked, expired):
        with pytest.raises(TokenNotFoundError, match="has ended"):
            await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
    assert len(await store.identities.list_tokens(TENANT, None, 10)) == 2


async def test_of_rotations_at_once_one_makes_a_successor(store: Store) -> None:
    token = await store.token()
    rotate = store.identities.rotate_token
    done = await outcomes(
        store, *(rotate(token.token_id, TENANT, successor(), DAY_S, act("token.rotate")) for _ in range(8))
    )

    (made,) = [each for each in done if isinstance(each, TokenRow)]
    assert done.count(TokenRotatedError) == 7
    assert (await store.found(token)).replaced_by == made.token_id
    assert len(await store.identities.list_tokens(TENANT, None, 10)) == 2
    assert [action for action, _ in await store.told()] == ["token.create", "token.rotate"]


async def test_a_token_that_is_revoked_while_it_is_rotated_is_revoked(store: Store) -> None:
    token, next_one = await store.token(), successor()
    rotation, values = write("rotate_token", token.token_id, TENANT, *next_one, DAY_S, 5, *act("token.rotate"))
    revoke = store.identities.revoke_token
    await behind(store, rotation, lambda: revoke(token.token_id, TENANT, act()), *values)

    old = await store.found(token)
    assert old.revoked_at is not None
    assert old.replaced_by == next_one.token_id


async def test_a_token_that_is_rotated_while_it_is_revoked_gets_no_successor(store: Store) -> None:
    token = await store.token()
    revocation, values = write("revoke_token", token.token_id, TENANT, *act())
    rotate = store.identities.rotate_token
    with pytest.raises(TokenNotFoundError):
        await behind(
            store, revocation, lambda: rotate(token.token_id, TENANT, successor(), DAY_S, act("token.rotate")), *values
        )

    assert (await store.found(token)).revoked_at is not None
    assert len(await store.identities.list_tokens(TENANT, None, 10)) == 1


async def test_a_write_that_is_sent_again_answers_as_before(store: Store) -> None:
    made, next_one = new(), successor()
    first = await store.identities.create_token(made, act("token.create"))
    assert await store.identities.create_token(made, act("token.create")) == first

    rotated = await store.identities.rotate_token(made.token_id, TENANT, next_one, DAY_S, act("token.rotate"))
    again = await store.identities.rotate_token(made.token_id, TENANT, next_one, DAY_S, act("token.rotate"))

    assert again == rotated
    assert [action for action, _ in await store.told()] == ["token.create", "token.rotate"]


async def test_a_tenant_has_no_more_tokens_than_allowed_whoever_makes_them(store: Store) -> None:
    await store.identities.create_tenant("acme", act("tenant.create", "acme"))
    done = await outcomes(store, *(store.token() for _ in range(12)))

    made = [each for each in done if isinstance(each, TokenRow)]
    assert (len(made), done.count(TooManyTokensError)) == (5, 7)
    await store.token("acme")
    await store.token(None)
    await store.identities.rotate_token(made[0].token_id, TENANT, successor(), DAY_S, act())  # takes its place
    with pytest.raises(TooManyTokensError, match="revoke one"):
        await store.token()
    await store.identities.revoke_token(made[1].token_id, TENANT, act())
    await store.token()


async def test_tokens_that_ended_count_before_they_are_forgotten(store: Store) -> None:
    few = Identities(store.pool, 1)
    for _ in range(9):
        token = await few.create_token(new(), act("token.create"))
        await few.revoke_token(token.token_id, TENANT, act())
    last = await few.create_token(new(), act("token.create"))

    with pytest.raises(TooManyTokensError, match="those that have ended"):
        await few.rotate_token(last.token_id, TENANT, successor(), DAY_S, act())


async def test_a_number_is_seen_only_when_all_below_it_are(store: Store) -> None:
    """A copy that asks again and again, while many write, has every change that is below a number that it saw."""
    before = await store.identities.changes_no()
    seen: list[int] = []
    over = asyncio.Event()

    async def copy() -> None:
        is_last = False
        while not is_last:
            is_last = over.is_set()
            while rows := await store.identities.tenants_since(seen[-1] if seen else before.no, 3):
                seen.extend(row.change_no for row in rows)

    copying = asyncio.create_task(copy())
    create = store.identities.create_tenant
    await asyncio.gather(*(create(f"t{number}", act("tenant.create")) for number in range(60)))
    over.set()
    await asyncio.wait_for(copying, WAIT_S)

    after = await store.identities.changes_no()
    assert seen == list(range(before.no + 1, after.no + 1))
    assert len(seen) == 60


class Copy:
    """What follows the table by the numbers of changes, and sees no token come back."""

    def __init__(self, identities: Identities) -> None:
        self.tokens: dict[uuid.UUID, TokenRow] = {}
        self._identities = identities
        self._no = 0

    async def read(self) -> None:
        now = await self._identities.changes_no()
        since = self._no
        while rows := await self._identities.tokens_since(since, 7):
            for row in rows:
                self._take(row)
            since = rows[-1].change_no
        self._no = now.no

    def _take(self, row: TokenRow) -> None:
        known = self.tokens.get(row.token_id, row)
        assert row.change_no >= known.change_no
        assert known.revoked_at in (None, row.revoked_at)
        assert known.replaced_by in (None, row.replaced_by)
        assert known.expires_at is not None
        assert row.expires_at is not None
        assert row.expires_at <= known.expires_at
        self.tokens[row.token_id] = row


async def test_a_copy_has_what_the_table_has_whatever_is_written_at_once(store: Store) -> None:
    identities, chance = Identities(store.pool, 1_000), random.Random(7)
    copy, over = Copy(identities), asyncio.Event()
    made = [await store.token() for _ in range(5)]

    async def follow() -> None:
        while not over.is_set():
            await copy.read()

    async def write_some() -> None:
        for _ in range(30):
            token = chance.choice(made)
            what = chance.choice(("create", "rotate", "rotate", "revoke", "touch"))
            try:
                if what == "create":
                    made.append(await identities.create_token(new(), act("token.create")))
                elif what == "rotate":
                    made.append(await identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act("r")))
                elif what == "revoke":
                    await identities.revoke_token(token.token_id, TENANT, act())
                else:
                    await identities.touch_tokens({token.token_id: datetime.now(UTC)})
            except (TokenNotFoundError, TokenRotatedError):
                pass

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write_some() for _ in range(6)))
    over.set()
    await asyncio.wait_for(following, WAIT_S)
    await copy.read()

    rows = await identities.list_tokens(None, None, 1_000)
    assert {row._replace(last_used_at=None) for row in rows} == {
        row._replace(last_used_at=None) for row in copy.tokens.values()
    }
    by_id = {row.token_id: row for row in rows}
    assert by_id.keys() == {each.token_id for each in made}
    successors = [row.replaced_by for row in rows if row.replaced_by]
    assert len(successors) == len(set(successors))
    assert set(successors) <= by_id.keys()
    numbers = [row.change_no for row in rows]
    assert len(numbers) == len(set(numbers))
    told = await store.rows("SELECT count(*) FROM audit WHERE action = 'token.revoke'")
    assert told == [(sum(row.revoked_at is not None for row in rows),)]


async def test_a_write_waits_for_one_that_is_not_committed_and_is_numbered_behind_it(store: Store) -> None:
    before = await store.identities.changes_no()
    first, values = write("create_tenant", "first", 0.0, *act("tenant.create"))
    create = store.identities.create_tenant
    second = await behind(store, first, lambda: create("second", act("tenant.create")), *values)

    assert [row.name for row in await store.identities.tenants_since(before.no, 10)] == ["first", "second"]
    assert second.change_no == before.no + 2


async def test_a_write_that_is_kept_waiting_for_too_long_may_be_tried_again(store: Store) -> None:
    connection = await connect(store.dsn)
    await connection.execute("BEGIN")
    statement, values = write("create_tenant", "first", 0.0, *act("tenant.create"))
    await connection.fetch(statement, *values)

    with pytest.raises(StoreBusyError):
        await store.identities.create_tenant("second", act("tenant.create"))
    connection.terminate()

    await store.identities.create_tenant("second", act("tenant.create"))
    assert await store.identities.get_tenant("first") is None


async def test_what_is_refused_changes_no_number_and_is_not_told(store: Store) -> None:
    token = await store.token()
    await store.identities.revoke_token(token.token_id, TENANT, act())
    before, told = await store.identities.changes_no(), await store.told()

    for refused in (
        store.identities.create_tenant(TENANT, act("tenant.create")),
        store.identities.set_tenant_state("nobody", TenantState.SUSPENDED, act()),
        store.identities.revoke_token(NONE, TENANT, act()),
        store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act()),
    ):
        with pytest.raises((TenantExistsError, TenantNotFoundError, TokenNotFoundError)):
            await refused
    assert (await store.identities.changes_no(), await store.told()) == (before, told)


async def test_a_tenant_is_suspended_and_made_active_again(store: Store) -> None:
    made = await store.identities.create_tenant("acme", act("tenant.create", "acme"))
    suspend = store.identities.set_tenant_state
    suspended = await suspend("acme", TenantState.SUSPENDED, act("tenant.suspend", "acme"))
    again = await suspend("acme", TenantState.SUSPENDED, act("tenant.suspend", "acme"))
    active = await suspend("acme", TenantState.ACTIVE, act("tenant.activate", "acme"))

    assert (made.state, suspended.state, active.state) == ("active", "suspended", "active")
    assert again == suspended
    assert made.change_no < suspended.change_no < active.change_no
    assert [row.name for row in await store.identities.list_tenants("acme", 10)] == [TENANT]
    assert len(await store.told()) == 3


async def test_uses_are_noted_once_in_five_minutes_and_not_as_changes(store: Store) -> None:
    token, before = await store.token(), await store.identities.changes_no()
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    noted = []
    for minutes in (0, 4, 6, -20):
        await store.identities.touch_tokens({token.token_id: at + timedelta(minutes=minutes), uuid.uuid4(): at})
        noted.append((await store.found(token)).last_used_at)
    await store.identities.touch_tokens({})

    assert noted == [at, at, at + timedelta(minutes=6), at + timedelta(minutes=6)]
    assert await store.identities.changes_no() == before._replace()


async def test_a_use_does_not_wait_for_a_write(store: Store) -> None:
    token = await store.token()
    connection = await connect(store.dsn)
    await connection.execute("BEGIN")
    statement, values = write("revoke_token", token.token_id, TENANT, *act())
    await connection.fetch(statement, *values)

    await asyncio.wait_for(store.identities.touch_tokens({token.token_id: datetime.now(UTC)}), WAIT_S)
    await connection.execute("COMMIT")
    connection.terminate()

    row = await store.found(token)
    assert row.last_used_at is None
    assert row.revoked_at is not None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET reason = 'other'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE at < now()"],
)
async def test_the_audit_is_only_added_to(store: Store, statement: str) -> None:
    await audit(store.pool, act("tenant.act_as", "acme"))

    with pytest.raises(asyncpg.PostgresError, match="only added to"):
        await store.pool.execute(statement)
    assert await store.told() == [("tenant.act_as", "acme")]


async def test_the_audit_is_read_from_the_newest_on_and_a_tenants_alone(store: Store) -> None:
    for number in range(4):
        await audit(store.pool, act("tenant.act_as", str(number), ("acme", TENANT)[number % 2]))

    page = await list_audit(store.pool, None, None, 3)
    assert [each.act.target for each in page] == ["3", "2", "1"]
    assert [each.act.target for each in await list_audit(store.pool, None, page[-1].no, 3)] == ["0"]
    assert [each.act.target for each in await list_audit(store.pool, "acme", None, 3)] == ["2", "0"]
    assert page[0].act == act("tenant.act_as", "3")
    assert page[0].number == 1


async def test_texts_of_anybody_are_cut_and_stored(store: Store) -> None:
    await audit(store.pool, act("a\0b\ud800" + "x" * 1_000, "y" * 1_000, "z" * 1_000))

    (row,) = await list_audit(store.pool, None, None, 1)
    assert row.act.action == ("ab?" + "x" * 1_000)[:64]
    assert (row.act.target, row.act.tenant) == ("y" * 300, "z" * 63)


async def test_refusals_are_noted_with_their_number_and_no_more_of_them_than_is_allowed(store: Store) -> None:
    refused = [Refusals(act("request", str(number)), number + 1) for number in range(REFUSALS_MAX + 5)]
    await note_refusals(store.pool, [])
    await note_refusals(store.pool, refused)

    assert await store.rows("SELECT count(*), max(count) FROM audit") == [(REFUSALS_MAX, REFUSALS_MAX)]
    (newest,) = await list_audit(store.pool, None, None, 1)
    assert (newest.act, newest.number) == (refused[REFUSALS_MAX - 1].act, REFUSALS_MAX)


async def test_retention_forgets_what_is_old_under_its_term_alone(store: Store) -> None:
    tokens = [await store.token() for _ in range(4)]
    await store.identities.revoke_token(tokens[0].token_id, TENANT, act())
    ended = "UPDATE tokens SET {} = now() - interval '40 days' WHERE token_id = $1 RETURNING 1"
    await store.rows(ended.format("revoked_at"), tokens[0].token_id)
    await store.rows(ended.format("expires_at"), tokens[1].token_id)
    await store.rows("UPDATE tokens SET expires_at = NULL WHERE token_id = $1 RETURNING 1", tokens[2].token_id)
    term = await term_of(store.dsn, "retention")

    assert await store.identities.purge_tokens("retention", term, 41 * DAY_S, 10) == 0
    assert await store.identities.purge_tokens("retention", term, 39 * DAY_S, 1) == 1
    assert await store.identities.purge_tokens("retention", term, 39 * DAY_S, 10) == 1
    left = {each.token_id for each in await store.identities.list_tokens(None, None, 10)}
    assert left == {each.token_id for each in tokens[2:]}

    told = len(await store.told())
    assert await purge_audit(store.pool, "retention", term, 60.0, 100) == 0
    assert await purge_audit(store.pool, "retention", term, 0.0, 2) == 2
    assert len(await store.told()) == told - 2
    for late in (store.identities.purge_tokens, lambda *a: purge_audit(store.pool, *a)):
        with pytest.raises(OwnershipLostError):
            await late("retention", term - 1, 0.0, 10)


async def test_after_a_restore_no_token_is_in_force_but_by_wish(store: Store) -> None:
    tokens = [await store.token(), await store.token(), await store.token(None)]
    await store.identities.revoke_token(tokens[1].token_id, TENANT, act())
    revoked = await store.found(tokens[1])
    before = await store.identities.changes_no()

    assert await after_restore(store.dsn, 0.0, keep_tokens=True) == 0
    assert await store.found(tokens[0]) == tokens[0]
    assert await after_restore(store.dsn, 0.0) == 2
    assert await after_restore(store.dsn, 0.0) == 0

    after = await store.identities.changes_no()
    assert after.lineage > before.lineage
    changed = await store.identities.tokens_since(before.no, 10)
    assert {each.token_id for each in changed} == {tokens[0].token_id, tokens[2].token_id}
    assert all(each.revoked_at for each in changed)
    assert before.no < changed[0].change_no < changed[1].change_no <= after.no
    assert await store.found(tokens[1]) == revoked
    told = [(each.act.action, each.number) for each in await list_audit(store.pool, None, None, 4)]
    assert told == [("restore", 1), ("tokens.revoke_all", 2), ("restore", 1), ("restore", 1)]


async def test_no_read_goes_through_a_table(store: Store) -> None:
    """As it is planned for every number of rows: the plans are the same whatever statistics say."""
    reads: list[tuple[str, str, tuple[object, ...]]] = [
        ("identity", "tokens_since", (1, 100)),
        ("identity", "tenants_since", (1, 100)),
        ("identity", "revocations_since", (1, 100)),
        ("identity", "find_token", (b"\0" * 32,)),
        ("identity", "find_tokens", ([b"\0" * 32],)),
        ("identity", "list_tokens", (NONE, 100)),
        ("identity", "list_tokens_of_tenant", (TENANT, NONE, 100)),
        ("identity", "get_token", (NONE, TENANT)),
        ("identity", "list_tenants", ("", 100)),
        ("audit", "list_audit", (1, 100)),
        ("audit", "list_audit_of_tenant", (TENANT, 1, 100)),
    ]
    connection = await connect(store.dsn)
    plans = {}
    for file, name, arguments in reads:
        statement = "EXPLAIN (COSTS off) " + load_queries(file)[name]
        plans[name] = "\n".join(row[0] for row in await connection.fetch(statement, *arguments))
    connection.terminate()

    assert {name: plan for name, plan in plans.items() if "Seq Scan" in plan or "Sort" in plan} == {}
    assert "tokens_of_tenant" in plans["list_tokens_of_tenant"]
    assert "audit_of_tenant" in plans["list_audit_of_tenant"]


async def test_a_tenants_limits_are_set_and_taken_away_one_by_one_and_told(store: Store) -> None:
    before = await store.identities.changes_no()
    first = await store.identities.set_tenant_limits(TENANT, '{"turns_per_s": 5, "streams": 7}', act("tenant.limits"))
    second = await store.identities.set_tenant_limits(TENANT, '{"turns_per_s": null}', act("tenant.limits"))
    again = await store.identities.set_tenant_limits(TENANT, '{"streams": 7}', act("tenant.limits"))
    copied = await store.identities.tenants_since(before.no, 10)

    assert first.limits == TenantLimits(turns_per_s=5, streams=7)
    assert second.limits == again.limits == copied[0].limits == TenantLimits(streams=7)
    assert first.change_no < second.change_no == again.change_no
    assert [action for action, _ in await store.told()] == ["tenant.limits"] * 2
    with pytest.raises(TenantNotFoundError):
        await store.identities.set_tenant_limits("nobody", "{}", act("tenant.limits"))


async def test_limits_that_a_later_version_wrote_are_passed_over(store: Store) -> None:
    await store.pool.execute("""UPDATE tenants SET limits = '{"streams": 7, "lunches_per_s": 1}'""")

    row = await store.identities.get_tenant(TENANT)

    assert row is not None
    assert row.limits == TenantLimits(streams=7)
