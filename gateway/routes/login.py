"""/v1/login, /v1/logout: login sessions of the console. The page hands a token in once, and keeps a cookie that no
script can read; see gateway/login_cookie.py for when that counts.

POST /v1/login {token, tenant} makes a login with the rights of a token, POST /v1/logout ends it, and GET /v1/login says
how people sign in here. Nobody is asked who they are: a token, or a cookie, says it.
"""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway import body, json_value, names
from argosy.gateway.access import GuardedRoute, open_to_all
from argosy.gateway.audited import act_of
from argosy.gateway.login_grant import grant_of
from argosy.gateway.openapi import answers, problems
from argosy.gateway.parameters import strict
from argosy.gateway.routes.graphs import posted
from argosy.gateway.routes.turns import json_response
from argosy.gateway.routes.whoami import view_of
from argosy.gateway.state import state_of
from argosy.identity.principal import PrincipalKind

router: Final = APIRouter(prefix="/v1", tags=["identity"], dependencies=[strict], route_class=GuardedRoute)

_BODY_SIZE_BYTES_MAX: Final = 16_384
_LOGGED_OUT: Final[dict[int | str, Any]] = {204: {"description": "The login is over, and its cookie is taken away"}}


class LoginPosted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A token, whose rights the login gets, and with which it ends. tenant: for which it acts: for administrators, and
    for tokens that are for several tenants.
    """

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=8_192, pattern=r"^[\x21-\x7e]+$")]
    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=63)] | None = None


class LoginMethods(msgspec.Struct, kw_only=True):
    """How people sign in. is_required: without that nothing is answered. issuer: the name of the OpenID provider that
    `/v1/login/oidc` leads to; null: there is none.
    """

    is_required: bool
    issuer: str | None


_posted: Final = msgspec.json.Decoder(LoginPosted)


@router.get("/login", responses=answers("LoginMethods"))
@open_to_all
async def get_login_methods(request: Request) -> Response:
    """How people sign in here."""
    identity = state_of(request).identity
    issuer = None if identity.oidc is None else identity.oidc.name
    return json_response(LoginMethods(is_required=identity.authenticator.is_required, issuer=issuer))


@router.post(
    "/login",
    status_code=201,
    responses=answers("PrincipalView", 408, 413, 415, 422, 429, status=201),
    openapi_extra=posted("LoginPosted"),
)
@open_to_all
async def log_in(request: Request) -> Response:
    """Make a login with the rights of a token. For the console's own page."""
    state = state_of(request)
    authenticator = state.identity.authenticator
    sessions = authenticator.logins
    sessions.check_place(request.scope)
    old = sessions.secret_in(request.scope)
    raw = await body.read(request, _BODY_SIZE_BYTES_MAX, state.settings.gateway_body_timeout_s)
    asked = json_value.decode(raw, _posted, "the body")
    tenant = None if asked.tenant is None else names.tenant(asked.tenant)
    found, grant = await grant_of(authenticator, request.scope, asked.token, tenant)
    secret, login = await sessions.create(grant, act_of(request, found, "login"), old)
    shown = found._replace(kind=PrincipalKind.LOGIN, expires_at_s=login.ends_at_ms / 1_000)
    answer = json_response(view_of(shown), 201)
    answer.headers["set-cookie"] = sessions.cookies.given(secret)
    return answer


@router.post("/logout", status_code=204, responses=_LOGGED_OUT | problems())
@open_to_all
async def log_out(request: Request) -> Response:
    """End the login whose cookie the request has, at every gateway; 204 also when it is over."""
    sessions = state_of(request).identity.authenticator.logins
    secret = sessions.secret_in(request.scope)
    if secret is not None and (login := await sessions.living(request.scope, secret)) is not None:
        act = act_of(request, login.principal, "logout", target=str(login.login_id))
        await sessions.end(secret, act)
    headers = {"set-cookie": sessions.cookies.taken(), "clear-site-data": '"storage"'}
    return Response(status_code=204, headers=headers)
