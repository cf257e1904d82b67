"""Every route says what it needs, is guarded by that, and is documented so."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy import config
from argosy.gateway import access
from argosy.gateway.access import Access, GuardedRoute, UndeclaredRouteError, needs, plain_route
from argosy.gateway.app import create_app
from argosy.gateway.routes import whoami
from argosy.identity.scopes import Scope

OPEN: Final = "nothing"
ANYBODY: Final = "a principal"
# What each route needs; `*`: it answers an operator who names no tenant, too.
TABLE: Final = {
    "POST /v1/sessions/{session}/turns": "turns:write",
    "POST /v1/turns:batch": "turns:write",
    "GET /v1/turns/{turn_id}": "turns:read",
    "GET /v1/turns/{turn_id}/explain": "turns:read",
    "GET /v1/turns/{turn_id}/events": "events:read",
    "POST /v1/turns/{turn_id}/signals/{name}": "signals:write",
    "POST /v1/turns/{turn_id}/cancel": "turns:cancel",
    "POST /v1/turns/{turn_id}/resume": "turns:resume",
    "POST /v1/turns:resume": "turns:resume",
    "GET /v1/sessions": "sessions:read",
    "GET /v1/sessions/{session}": "sessions:read",
    "GET /v1/sessions/{session}/turns": "sessions:read",
    "GET /v1/sessions/{session}/events": "events:read",
    "GET /v1/graphs": "graphs:read",
    "POST /v1/graphs": "graphs:write",
    "GET /v1/graphs/{graph}": "graphs:read",
    "DELETE /v1/graphs/{graph}": "graphs:write",
    "GET /v1/graphs/{graph}/acl": "graphs:read",
    "PUT /v1/graphs/{graph}/acl": "graphs:write",
    "GET /v1/graphs/{graph}/export": "graphs:read",
    "POST /v1/graphs/{graph}/apply": "graphs:write",
    "POST /v1/graphs/{graph}/query": "graphs:read",
    "GET /v1/graphs/{graph}/nodes": "graphs:read",
    "GET /v1/graphs/{graph}/nodes/{node}": "graphs:read",
    "POST /v1/graphs/{graph}/neighbors": "graphs:read",
    "POST /v1/graphs/{graph}/search": "graphs:read",
    "GET /v1/graphs/{graph}/summary": "graphs:read",
    "POST /v1/graphs/{graph}/recall": "graphs:read",
    "POST /v1/graphs/{graph}/ingest": "jobs:write",
    "GET /v1/graphs/{graph}/ingest": "jobs:read",
    "GET /v1/ingest/{job_id}": "jobs:read",
    "GET /v1/ingest/{job_id}/rejects": "jobs:read",
    "GET /v1/ingest/{job_id}/events": "jobs:read",
    "POST /v1/ingest/{job_id}/cancel": "jobs:write",
    "POST /v1/erasures": "erasures:write",
    "GET /v1/erasures": "erasures:read",
    "GET /v1/erasures/{erasure_id}": "erasures:read",
    "GET /v1/workflows": "*workflows:read",
    "GET /v1/dead-letters": "*deadletters:read",
    "GET /v1/fleet": "*fleet:read",
    "GET /v1/fleet/partitions": "*fleet:read",
    "GET /v1/fleet/shards": "*fleet:read",
    "GET /v1/fleet/moves": "*fleet:read",
    "GET /v1/fleet/leaders": "*leaders:read",
    "GET /v1/tokens": "*tokens:read",
    "POST /v1/tokens": "*tokens:write",
    "DELETE /v1/tokens/{token_id}": "*tokens:write",
    "POST /v1/tokens/{token_id}/rotate": "*tokens:write",
    "POST /v1/subjects/{sub}/revoke": "*tenants:act_as",
    "GET /v1/tenants": "*tenants:read",
    "POST /v1/tenants": "*tenants:write",
    "PATCH /v1/tenants/{tenant}": "*tenants:write",
    "DELETE /v1/tenants/{tenant}": "*tenants:write",
    "GET /v1/tenants/{tenant}/erasure": "*tenants:read",
    "GET /v1/audit": "*audit:read",
    "GET /v1/whoami": ANYBODY,
    "GET /v1/login": "nothing",
    "POST /v1/login": "nothing",
    "GET /v1/login/oidc": "nothing",
    "GET /v1/login/oidc/callback": "nothing",
    "POST /v1/logout": "nothing",
    "GET /metrics": "*metrics:read",
    "HEAD /metrics": "*metrics:read",
    "GET /healthz": OPEN,
    "HEAD /healthz": OPEN,
    "GET /readyz": OPEN,
    "HEAD /readyz": OPEN,
    "GET /": OPEN,
    "HEAD /": OPEN,
    "GET /console/{name}": OPEN,
    "HEAD /console/{name}": OPEN,
    "GET /docs": OPEN,
}


def app_of(**changes: Any) -> Any:
    settings = config.load({}, state_db_uri="postgresql://nowhere/x", gateway_metrics=True)
    return create_app(settings.model_copy(update=changes))


def told(needed: Access) -> str:
    if needed.is_open:
        return OPEN
    return ANYBODY if needed.scope is None else f"{'' if needed.is_of_tenant else '*'}{needed.scope}"


def test_every_route_needs_what_the_table_says() -> None:
    found = access.accesses(app_of().state.routes)

    assert {f"{method} {path}": told(needed) for (method, path), needed in found.items()} == TABLE


def test_every_route_of_the_app_is_among_them() -> None:
    app = app_of()
    paths = {route.path for route in app.routes if isinstance(route, Route)} - {"/openapi.json"}

    assert paths <= {path for _, path in access.accesses(app.state.routes)}
    assert {method for methods in app.openapi()["paths"].values() for method in methods} <= {
        "delete", "get", "patch", "post", "put"
    }  # fmt: skip


def test_the_document_says_what_each_operation_needs() -> None:
    document = app_of(kg_auth_required=True).openapi()
    said = {
        f"{method.upper()} {path}": operation["security"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }

    assert len(said) > 50
    for name, security in said.items():
        needed = TABLE[name].removeprefix("*")
        assert security == ([] if needed == OPEN else [{"token": [] if needed == ANYBODY else [needed]}]), name
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_a_gateway_that_asks_nobody_says_that_no_token_will_do_as_well() -> None:
    operation = app_of(kg_auth_required=False).openapi()["paths"]["/v1/turns/{turn_id}"]["get"]

    assert operation["security"] == [{"token": ["turns:read"]}, {}]


async def undeclared(request: Request) -> Response:
    return Response("secret")


@needs(Scope.TURNS_READ)
async def declared(request: Request) -> Response:
    return Response("secret")


def test_a_route_that_declares_nothing_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)

    with pytest.raises(UndeclaredRouteError, match="/secret"):
        router.add_api_route("/secret", undeclared)
    with pytest.raises(UndeclaredRouteError, match="/secret"):
        plain_route("/secret", undeclared, methods=["GET"])


@pytest.mark.parametrize("endpoint", [undeclared, declared])
def test_a_gateway_with_a_route_that_nothing_guards_does_not_start(
    monkeypatch: pytest.MonkeyPatch, endpoint: Callable[[Request], Awaitable[Response]]
) -> None:
    careless = APIRouter()
    careless.add_api_route("/secret", endpoint)
    monkeypatch.setattr(whoami, "router", careless)

    with pytest.raises(UndeclaredRouteError, match="secret"):
        app_of()


def test_a_route_behind_the_back_of_the_table_is_seen() -> None:
    app = app_of()
    app.router.routes.append(Route("/secret", declared))

    with pytest.raises(UndeclaredRouteError, match="secret"):
        access.check_others(app.routes, app.state.routes)


@pytest.mark.parametrize(
    ("scope", "is_write"), [(Scope.TURNS_READ, False), (Scope.TURNS_CANCEL, True), (Scope.ACT_AS, True), (None, False)]
)
def test_what_changes_something_is_a_write(scope: Scope | None, is_write: bool) -> None:
    assert Access(scope).is_write is is_write
    assert Access(scope).is_read is not is_write
    assert not Access(scope, is_open=True).is_read
