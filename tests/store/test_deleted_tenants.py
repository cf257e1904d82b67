"""A tenant that is deleted has no credentials from then on, and its name is free when nothing of it is left."""

import uuid

import pytest

from argosy.erasure import ErasureKind, target_digest
from argosy.identity.errors import TenantExistsError, TenantNotFoundError, TokenNotFoundError
from argosy.identity.tenant import TenantState
from argosy.seal.master import Wrapped
from argosy.store.erasure import NewErasure
from argosy.store.tenant_key import TenantKeys
from tests.maintenance.term import term_of
from tests.store.identities import Store, act, successor

NAME = "gone"


def erasure() -> NewErasure:
    digest = target_digest(ErasureKind.TENANT, "default", "")
    return NewErasure(uuid.uuid4(), NAME, "default", ErasureKind.TENANT, None, digest, None, None)


async def deleted(store: Store, late_s: float = 0.0) -> uuid.UUID:
    return await store.identities.delete_tenant(NAME, erasure(), late_s, 90.0, act("tenant.delete", NAME, NAME))


async def done(store: Store, erasure_id: uuid.UUID) -> None:
    """All stages are over."""
    term = await term_of(store.dsn, "erase")
    await store.pool.execute("UPDATE erasures SET stage = 'log' WHERE erasure_id = $1", erasure_id)
    await store.pool.fetchval("SELECT step_erasure('erase', $1, $2, 'log', 'done')", term, erasure_id)


async def test_its_credentials_end_at_once_and_it_gets_no_others(store: Store) -> None:
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    tokens, other = [await store.token(NAME) for _ in range(3)], await store.token()
    before = await store.identities.changes_no()

    begun = await deleted(store, 60.0)

    assert await deleted(store) == begun  # once, however often it is asked for
    found = [await store.found(each) for each in tokens]
    assert all(each.revoked_at is not None for each in found)
    assert (await store.found(other)).revoked_at is None
    assert [row.token_id for row in await store.identities.tokens_since(before.no, 10)] == sorted(
        each.token_id for each in tokens
    )
    assert [row.state for row in await store.identities.tenants_since(before.no, 10)] == [TenantState.DELETED]
    with pytest.raises(TenantNotFoundError):
        await store.token(NAME)
    with pytest.raises(TokenNotFoundError):
        await store.identities.rotate_token(tokens[0].token_id, None, successor(), 0.0, act("token.rotate"))
    with pytest.raises(TenantNotFoundError):
        await store.identities.set_tenant_state(NAME, TenantState.ACTIVE, act("tenant.activate"))
    with pytest.raises(TenantExistsError, match="is being deleted"):
        await store.identities.create_tenant(NAME, act("tenant.create"))
    with pytest.raises(TenantNotFoundError):
        await store.identities.delete_tenant("never", erasure(), 0.0, 0.0, act("tenant.delete"))
    assert await store.rows("SELECT issuer, subject, tenant, expires_at - before = '90 s' FROM revocations") == [
        ("", "", NAME, True)
    ]
    assert (await store.told()).count(("tenant.delete", NAME)) == 1


async def test_at_the_end_its_name_is_free_and_its_tokens_are_nobodys(store: Store) -> None:
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    token = await store.token(NAME)
    await done(store, await deleted(store))

    assert await store.identities.get_tenant(NAME) is None
    assert await store.identities.names_of_tenants([NAME, "default"]) == ["default"]
    row = await store.found(token)  # a gateway that was away hears of its end
    assert (row.tenant, row.name, row.created_by, row.scopes, row.revoked_by) == ("-", "", "", (), "-")
    assert await store.identities.list_tokens(NAME, None, 10) == []
    assert (await store.told())[-1][0] == "tenant.erased"

    again = await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    assert again.state is TenantState.ACTIVE
    assert (await store.found(token)).revoked_at is not None
    assert await store.identities.list_tokens(NAME, None, 10) == []


async def test_at_the_end_its_keys_are_destroyed_and_no_other_ones(store: Store) -> None:
    keys = TenantKeys(store.pool)
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    for tenant in (NAME, "default"):
        await keys.add(tenant, 1, Wrapped("master", b"wrapped"), is_digest=False)
    begun = await deleted(store)
    before = await keys.of([NAME])

    await done(store, begun)

    assert [each.secret for each in before[NAME]] == [Wrapped("master", b"wrapped")]
    after = await keys.of([NAME, "default"])
    assert [(each.key_id, each.secret) for each in after[NAME]] == [(1, None)]
    assert [each.secret for each in after["default"]] == [Wrapped("master", b"wrapped")]


async def test_its_name_is_not_free_while_a_process_may_still_seal_with_keys_that_were_destroyed(store: Store) -> None:
    """What a forgotten key sealed for the new tenant, nobody could open later."""
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    await TenantKeys(store.pool).add(NAME, 1, Wrapped("master", b"wrapped"), is_digest=False)
    await done(store, await deleted(store))

    with pytest.raises(TenantExistsError, match="destroyed lately"):
        await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME), keys_known_s=3_900.0)

    assert await store.identities.get_tenant(NAME) is None
    await store.pool.execute("UPDATE tenant_keys SET destroyed_at = now() - interval '3901 seconds'")
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME), keys_known_s=3_900.0)


async def test_an_erasure_does_not_begin_before_its_fence_whoever_leads(store: Store) -> None:
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    term = await term_of(store.dsn, "erase")
    step = "SELECT step_erasure('erase', $1, $2, 'reading', 'ending')"
    begun = await deleted(store, 60.0)

    assert not await store.pool.fetchval(step, term, begun)
    await store.pool.execute("UPDATE erasures SET fenced_at = now()")
    assert await store.pool.fetchval(step, term, begun)


async def test_a_tenant_that_is_forgotten_keeps_its_name_and_tokens_made_since(store: Store) -> None:
    await store.identities.create_tenant(NAME, act("tenant.create", NAME, NAME))
    old = await store.token(NAME)
    asked = erasure()
    await store.pool.execute(
        "INSERT INTO erasures (erasure_id, tenant, lane, kind, target_digest, stage, through_at)"
        " VALUES ($1, $2, 'default', 'tenant', '', 'log', now())",
        asked.erasure_id,
        NAME,
    )
    later = await store.token(NAME)

    await done(store, asked.erasure_id)

    assert (await store.found(old)).revoked_at is not None
    assert (await store.found(later)).revoked_at is None
    assert [row.token_id for row in await store.identities.list_tokens(NAME, None, 10)] == [later.token_id]
    tenant = await store.identities.get_tenant(NAME)
    assert tenant is not None
    assert tenant.state is TenantState.ACTIVE
