"""Tokens: what is stored of them, who sees them, how many there may be, and that none that has ended comes back."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from argosy.identity.errors import (
    TenantNotFoundError,
    TokenNotFoundError,
    TooManyTokensError,
)
from argosy.store.audit import list_audit
from argosy.store.identity import Identities, TokenRow
from tests.store.identities import DAY_S, TENANT, Store, act, new, outcomes, successor


async def test_a_token_is_found_by_its_hash_with_its_tenant_and_is_stored_nowhere(store: Store) -> None:
    made = new()
    row = await store.identities.create_token(made, act("token.create", str(made.token_id)))

    assert row == TokenRow(
        made.token_id, made.hash, TENANT, "of a program", "user",
        ("graphs:read",), ("support-*",), ("echo",), made.hint,
        row.created_at, "who", row.created_at + timedelta(days=90), None, None, None, None, row.change_no, None,
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


async def test_lists_take_a_token_and_all_that_take_its_place_for_one(store: Store) -> None:
    token = first = await store.token()
    for _ in range(3):
        token = await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
        assert (token.subject_id, await store.found(token)) == (first.token_id, token)
        assert await store.identities.find_tokens([token.hash]) == [token]
        assert await store.identities.get_token(token.token_id, TENANT) == token
        assert token in await store.identities.list_tokens(None, None, 10)
        assert token in await store.identities.list_tokens(TENANT, None, 10)
    assert first.subject_id is None
    await store.rows("UPDATE tokens SET subject_id = NULL WHERE token_id = $1 RETURNING 1", token.token_id)
    made_before = await store.identities.rotate_token(token.token_id, TENANT, successor(), DAY_S, act())
    assert made_before.subject_id == token.token_id


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
