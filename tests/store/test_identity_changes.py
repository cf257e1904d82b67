"""Writes of tenants and tokens come one after the other, and a copy that goes by their numbers misses nothing."""

import asyncio
import random
import uuid
from datetime import UTC, datetime

import pytest

from argosy.errors import StoreBusyError
from argosy.identity.errors import (
    TenantExistsError,
    TenantNotFoundError,
    TokenNotFoundError,
    TokenRotatedError,
)
from argosy.identity.tenant import TenantState
from argosy.store.audit import list_audit
from argosy.store.identity import Identities, TokenRow
from argosy.store.migrate import after_restore
from argosy.store.pool import connect
from argosy.store.queries import load_queries
from tests.store.identities import DAY_S, NONE, TENANT, WAIT_S, Store, act, behind, new, successor, write


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
