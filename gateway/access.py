"""What a request must have to be answered. Each route declares it beside its path, and its declaration guards it:

    @router.get("/{turn_id}", ...)
    @needs(Scope.TURNS_READ)
    async def get_turn(...)

The guard runs before anything of a body is read and before parameters are looked at. A route without a declaration, or
one that its declaration does not guard, keeps the gateway from starting (`check_routes`). The OpenAPI document has its
`security` from the same place.

The order of refusals: no credential, or a bad one (authenticate.py); an operator who names no tenant; the scope;
a credential limited to sessions where a route does not look at them; a tenant that is suspended; too many reads.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from argosy.gateway.asker import let_in, principal_in
from argosy.gateway.problems import Problem
from argosy.gateway.state import State, state_of
from argosy.identity.principal import Principal, PrincipalKind
from argosy.identity.scopes import OF_TENANTS, Scope
from argosy.identity.tenant import TenantState

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_DECLARED: Final = "__argosy_access__"
# FastAPI adds this route by itself; it shows nothing of a tenant.
_OF_FASTAPI: Final = "/openapi.json"


class Access(NamedTuple):
    """What a route needs. scope: None: none, a good credential is enough. is_of_tenant: it shows or changes what one
    tenant has. minds_limits: it looks itself at the sessions that a credential is limited to (limits.py), or has
    nothing to do with any; else such a credential is refused. is_open: nobody is asked. is_open_locally: nobody is
    asked unless KG_AUTH_REQUIRED is set.
    """

    scope: Scope | None = None
    is_of_tenant: bool = False
    minds_limits: bool = False
    is_open: bool = False
    is_open_locally: bool = False

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.scope is not None and not self.scope.endswith(":read")

    @property
    def is_read(self) -> bool:
        """Whether it shows something to those who may see it."""
        return not self.is_open and not self.is_write


class UndeclaredRouteError(Exception):
    """A route says not what it needs, or is not guarded by what it says. Never answered: the gateway does not start."""


def needs(scope: Scope, *, minds_limits: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route shows or changes what one tenant has, and needs this scope."""
    return _declared(Access(scope, is_of_tenant=True, minds_limits=minds_limits))


def needs_anywhere(
    scope: Scope, *, minds_limits: bool = False, is_open_locally: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route needs this scope, and also answers an operator who names no tenant."""
    return _declared(Access(scope, minds_limits=minds_limits, is_open_locally=is_open_locally))


def needs_a_principal(endpoint: Endpoint) -> Endpoint:
    """Declare that a route answers everybody whose credential is good."""
    return _declared(Access(minds_limits=True))(endpoint)


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """Declare that a route asks nobody who they are: it shows nothing of a tenant."""
    return _declared(Access(is_open=True))(endpoint)


def _declared(access: Access) -> Callable[[Endpoint], Endpoint]:
    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _DECLARED, access)
        return endpoint

    return declare


def _of_endpoint(path: str, endpoint: Callable[..., Any]) -> Access:
    access = getattr(endpoint, _DECLARED, None)
    if not isinstance(access, Access):
        name = getattr(endpoint, "__name__", "?")
        raise UndeclaredRouteError(f"the route {path} ({name}) does not declare what it needs: see gateway/access.py")
    return access


class GuardedRoute(APIRoute):
    """A route of FastAPI that its declaration guards: APIRouter(route_class=GuardedRoute)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        access = self.access = _of_endpoint(self.path, self.endpoint)
        is_read = access.is_read
        answer = super().get_route_handler()
        if access.is_open:
            return answer

        async def guarded(request: Request) -> Response:
            await _admit(request, access, is_read=is_read)
            return await answer(request)

        return guarded


class GuardedPlainRoute(Route):
    """A route that FastAPI does not know, guarded by its declaration. Made by `plain_route`."""

    access: Access


def plain_route(
    path: str, endpoint: Callable[[Request], Awaitable[Response]], *, methods: list[str]
) -> GuardedPlainRoute:
    """Return a route that FastAPI does not know, for an endpoint with a declaration."""
    access = _of_endpoint(path, endpoint)
    is_read = access.is_read

    async def guarded(request: Request) -> Response:
        await _admit(request, access, is_read=is_read)
        return await endpoint(request)

    route = GuardedPlainRoute(path, guarded, methods=methods)
    route.access = access
    return route


def check_routes(routes: Iterable[BaseRoute]) -> None:
    """Raise UndeclaredRouteError unless every route is guarded by a declaration."""
    for route in routes:
        if not isinstance(route, GuardedRoute | GuardedPlainRoute):
            raise UndeclaredRouteError(f"{route!r} is guarded by no declaration: see gateway/access.py")


def check_others(routes: Iterable[BaseRoute], known: Sequence[BaseRoute]) -> None:
    """Raise UndeclaredRouteError when an app has a route of its own that is none of `known`, and no router."""
    for route in routes:
        if isinstance(route, Route) and route not in known and route.path != _OF_FASTAPI:
            check_routes([route])


def accesses(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], Access]:
    """Return what each (method, path) needs."""
    return {
        (method, str(route.path)): route.access
        for route in routes
        if isinstance(route, GuardedRoute | GuardedPlainRoute)
        for method in route.methods or ()
    }


async def _admit(request: Request, access: Access, *, is_read: bool) -> None:
    """Find out who asks, and remember it with the request. Raises Problem when it must not be answered.

    A credential that the process knows costs no await and no question. is_read: access.is_read, found out once.
    """
    state = state_of(request)
    identity = state.identity
    if access.is_open_locally and not identity.authenticator.is_required:
        return
    scope = request.scope
    principal = identity.authenticator.known(scope)
    if principal is None:
        principal = await identity.authenticator.look_up(scope)
    problem = _why_not(state, principal, access)
    if problem is not None:
        identity.audited.refused(scope, problem.code, principal)
        raise problem
    if is_read:
        state.read_limit.check(principal)
    if principal.acts_as:
        await identity.audited.acts(request, principal, access.scope)
    let_in(scope, principal)


def _why_not(state: State, principal: Principal, access: Access) -> Problem | None:
    """Return why a principal does not get what a route gives, or None."""
    scope = access.scope
    if scope is None:
        return None
    if access.is_of_tenant and principal.tenant is None and Scope.ACT_AS in principal.scopes:
        return Problem("tenant_required", "name the tenant that this is about in X-Argosy-Tenant")
    if scope not in principal.scopes:
        return lacking(scope)
    if access.is_of_tenant and principal.tenant is None:
        return Problem("tenant_required", "this is about a tenant, and the credential is of none")
    if principal.sessions is not None and not access.minds_limits:
        return Problem("insufficient_scope", "the token is limited to some sessions: it cannot do this", scope=scope)
    # A local operator is of a tenant, too, and must be able to let that go on again.
    if access.is_write and scope in OF_TENANTS and principal.tenant is not None:
        what = state.identity.cache.inactive.get(principal.tenant)
        if what is TenantState.SUSPENDED:
            return Problem("tenant_suspended", f"the tenant {principal.tenant!r} is suspended: it can only read")
    return None


def lacking(scope: Scope) -> Problem:
    """Return the problem of a principal without this scope."""
    return Problem("insufficient_scope", f"this needs the scope {scope}", scope=scope)


def principal_of(request: Request) -> Principal:
    """Return who asks. Not for routes that are open to all."""
    return principal_in(request.scope)


def tenant_of(request: Request) -> str:
    """Return the tenant that a request is for. Only for routes of a tenant (`needs`)."""
    tenant = principal_of(request).tenant
    if tenant is None:
        raise Problem("tenant_required", "this is about a tenant, and the credential is of none")
    return tenant


def is_local(principal: Principal) -> bool:
    """Whether nobody was asked who they are."""
    return principal.kind is PrincipalKind.LOCAL
