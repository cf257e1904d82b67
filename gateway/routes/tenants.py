"""/v1/tenants: who may have turns here. For administrators.

Without KG_AUTH_REQUIRED a tenant need not be here to be used; one that is here and suspended is, all the same.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy.config import Settings
from argosy.gateway import body, json_value
from argosy.gateway.access import GuardedRoute, needs_anywhere, principal_of
from argosy.gateway.asker import tenant_not_found
from argosy.gateway.audited import act_of
from argosy.gateway.names import DEFAULT_TENANT
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import NO_NUL_PATTERN, Cursor, Limit, page_size, strict
from argosy.gateway.problems import Problem
from argosy.gateway.routes.erasures import deletion_view, erasure_of_tenant
from argosy.gateway.routes.graphs import posted
from argosy.gateway.routes.subjects import lifetime_s
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.identity.scopes import Scope
from argosy.identity.tenant import TenantState
from argosy.identity.tenant_limits import LimitsChange, TenantLimits
from argosy.names import TENANT_PATTERN, is_tenant
from argosy.store.identity import TenantRow

router: Final = APIRouter(prefix="/v1/tenants", tags=["identity"], dependencies=[strict], route_class=GuardedRoute)

_BODY_SIZE_BYTES_MAX: Final = 4_096


class TenantView(msgspec.Struct, kw_only=True):
    """A tenant. suspended: it can read, and what it has sent goes on. deleted: nobody is let in for it, and what it has
    is being erased; then it is not here any more. limits: its own ones, for all gateways together; those that are not
    here are as the settings of the gateways say.
    """

    name: str
    state: TenantState
    created_at: datetime
    limits: TenantLimits


class TenantPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    tenants: list[TenantView]
    next: str | None


class TenantPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A tenant to be made."""

    name: Annotated[str, msgspec.Meta(pattern=TENANT_PATTERN)]


class TenantChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a tenant is to be from now on: its state, or its limits, of which a null takes one away, and those that are
    not named stay. One of the two.
    """

    state: Literal["active", "suspended"] | msgspec.UnsetType = msgspec.UNSET
    limits: LimitsChange | msgspec.UnsetType = msgspec.UNSET


_posted: Final = msgspec.json.Decoder(TenantPosted)
_change: Final = msgspec.json.Decoder(TenantChange)


@router.get("", responses=answers("TenantPage"))
@needs_anywhere(Scope.TENANTS_READ)
async def list_tenants(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Tenants, in the order of their names."""
    state = state_of(request)
    list_name = ("tenants",)
    after = "" if cursor is None else state.cursors.decode(list_name, cursor, tuple[str])[0]
    size = page_size(limit, state.settings.page_size_max)
    rows = await state.identity.stored.list_tenants(after, size + 1)
    return json_response(
        TenantPage(
            tenants=[_shown(row) for row in rows[:size]],
            next=state.cursors.encode(list_name, (rows[size - 1].name,)) if len(rows) > size else None,
        )
    )


@router.post(
    "",
    status_code=201,
    responses=answers("TenantView", 408, 409, 413, 415, 422, status=201),
    openapi_extra=posted("TenantPosted"),
)
@needs_anywhere(Scope.TENANTS_WRITE)
async def create_tenant(request: Request) -> Response:
    """Make a tenant."""
    state = state_of(request)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    name = json_value.decode(raw, _posted, "the body").name
    if not is_tenant(name):  # the pattern alone would take a line break behind it
        raise Problem("invalid_request", "a tenant's name has 1 to 63 letters, digits, dots, underscores or dashes")
    act = act_of(request, principal_of(request), "tenant.create", tenant=name, target=name)
    keys_known_s = state.settings.payload_keys_cache_s + state.settings.payload_keys_stale_s_max
    made = await state.identity.stored.create_tenant(name, act, keys_known_s=keys_known_s)
    return json_response(_shown(made), 201)


@router.patch(
    "/{tenant}", responses=answers("TenantView", 404, 408, 413, 415, 422), openapi_extra=posted("TenantChange")
)
@needs_anywhere(Scope.TENANTS_WRITE)
async def change_tenant(tenant: str, request: Request) -> Response:
    """Suspend a tenant, let it go on, or give it limits of its own."""
    state = state_of(request)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    change = json_value.decode(raw, _change, "the body")
    if not is_tenant(tenant):
        raise tenant_not_found(tenant)
    if (change.state is msgspec.UNSET) == (change.limits is msgspec.UNSET):
        raise Problem("invalid_request", "say either what state the tenant is to have, or which limits")
    if change.state is msgspec.UNSET:
        limits = msgspec.json.encode(change.limits).decode()
        act = act_of(request, principal_of(request), "tenant.limits", tenant=tenant, target=tenant)._replace(
            reason=limits
        )
        row = await state.identity.stored.set_tenant_limits(tenant, limits, act)
    else:
        to = TenantState(change.state)
        action = "tenant.suspend" if to is TenantState.SUSPENDED else "tenant.activate"
        act = act_of(request, principal_of(request), action, tenant=tenant, target=tenant)
        row = await state.identity.stored.set_tenant_state(tenant, to, act)
    await state.identity.cache.refresh_after()
    return json_response(_shown(row))


@router.delete("/{tenant}", status_code=202, responses=answers("ErasureView", 404, 422, status=202))
@needs_anywhere(Scope.TENANTS_WRITE)
async def delete_tenant(
    tenant: str,
    request: Request,
    confirm: Annotated[
        str, Query(max_length=63, pattern=NO_NUL_PATTERN, description="The tenant's name, once more.")
    ] = "",
) -> Response:
    """Delete a tenant with all that it has. Nobody is let in for it from now on; what it has is erased, as the answer
    says. One that is being deleted is deleted once.
    """
    state = state_of(request)
    if not is_tenant(tenant):
        raise tenant_not_found(tenant)
    if tenant == DEFAULT_TENANT:
        detail = f"the tenant {tenant!r} stays: `argosy forget tenant {tenant}` forgets what it has"
        raise Problem("invalid_request", detail)
    if confirm != tenant:
        raise Problem("unconfirmed", "?confirm= is not the name of the tenant, which would be lost for good")
    new = erasure_of_tenant(tenant, state.settings.lane)
    act = act_of(request, principal_of(request), "tenant.delete", tenant=tenant, target=tenant)
    await state.identity.stored.delete_tenant(tenant, new, late_s(state.settings), lifetime_s(state.settings), act)
    await state.identity.cache.refresh_after()
    return json_response(await deletion_view(state, tenant), 202)


@router.get("/{tenant}/erasure", responses=answers("ErasureView", 404))
@needs_anywhere(Scope.TENANTS_READ)
async def get_deletion(tenant: str, request: Request) -> Response:
    """How far it is that the last tenant of this name is erased, which was deleted, and what came of it."""
    return json_response(await deletion_view(state_of(request), tenant))


def late_s(settings: Settings) -> float:
    """Return for how long something may come still that a gateway let in for a tenant that is deleted now."""
    heard_s = max(settings.identity_stale_s_max, 2 * settings.gateway_cache_s)
    return heard_s + settings.gateway_body_timeout_s + settings.log_append_timeout_s


def _shown(row: TenantRow) -> TenantView:
    return TenantView(name=row.name, state=row.state, created_at=row.created_at, limits=row.limits)
