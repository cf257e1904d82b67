"""Tenants: their states and their limits."""

import pytest

from argosy.identity.errors import (
    TenantNotFoundError,
)
from argosy.identity.tenant import TenantState
from argosy.identity.tenant_limits import TenantLimits
from tests.store.identities import TENANT, Store, act


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
