"""/v1/login/oidc: the way to the OpenID provider and back, which a browser goes by its address bar. Not in the OpenAPI
document: nothing but a browser can go it.

It ends at the console, whatever comes of it: `/?login=CODE` says what went wrong.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from argosy.gateway import names
from argosy.gateway.access import GuardedRoute, open_to_all
from argosy.gateway.audited import act_of
from argosy.gateway.login_grant import grant_of
from argosy.gateway.oidc_login import PENDING_S, OidcLogin, Pending
from argosy.gateway.parameters import strict
from argosy.gateway.problems import Problem
from argosy.gateway.state import state_of

router: Final = APIRouter(prefix="/v1/login/oidc", include_in_schema=False, route_class=GuardedRoute)

_SEE_OTHER: Final = 303


@router.get("", dependencies=[strict])
@open_to_all
async def begin_login(
    request: Request,
    place: Annotated[str, Query(alias="return", max_length=1_000)] = "#/",
    tenant: Annotated[str | None, Query(max_length=63)] = None,
) -> Response:
    """Lead somebody to the provider."""
    oidc = _oidc_of(request)
    cookies = state_of(request).identity.authenticator.logins.cookies
    cookies.check_place(request.scope)
    address, pending = await oidc.begin(place, None if tenant is None else names.tenant(tenant))
    answer = RedirectResponse(address, _SEE_OTHER)
    answer.headers.append("set-cookie", cookies.pending_given(pending, PENDING_S))
    return answer


@router.get("/callback")
@open_to_all
async def finish_login(request: Request) -> Response:
    """Make a login for somebody who comes back from the provider, and lead them to the console."""
    oidc = _oidc_of(request)
    cookies = state_of(request).identity.authenticator.logins.cookies
    pending = oidc.pending_in(cookies.pending_in(request.scope))
    try:
        given = cookies.given(await _signed_in(request, oidc, pending))
        answer = RedirectResponse(f"/{_place_of(pending)}", _SEE_OTHER)
        answer.headers.append("set-cookie", given)
    except Problem as problem:
        answer = RedirectResponse(f"/?login={problem.code}{_place_of(pending)}", _SEE_OTHER)
    answer.headers.append("set-cookie", cookies.pending_taken())
    return answer


async def _signed_in(request: Request, oidc: OidcLogin, pending: Pending | None) -> str:
    """Return the secret of a new login. Raises Problem."""
    authenticator = state_of(request).identity.authenticator
    signed_in = await oidc.finish(request.scope, pending, request.query_params)
    tenant = None if pending is None else pending.tenant
    found, grant = await grant_of(authenticator, request.scope, signed_in.access_token, tenant)
    if grant.issuer != oidc.issuer or found.id != signed_in.id:
        raise oidc.mismatch(request.scope)
    # The issuer has said who they are; how long its token lives says nothing about how long they stay.
    act = act_of(request, found, "login")
    secret, _ = await authenticator.logins.create(grant._replace(ends_at_s=None), act, None)
    return secret


def _place_of(pending: Pending | None) -> str:
    return "#/" if pending is None else pending.place


def _oidc_of(request: Request) -> OidcLogin:
    oidc = state_of(request).identity.oidc
    if oidc is None:
        raise Problem("not_found", "people sign in with tokens here: AUTH_OIDC_CLIENT_ID is not set")
    return oidc
