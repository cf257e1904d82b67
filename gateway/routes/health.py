"""GET /healthz, /readyz, /metrics: the state of the one process that answers.

Ready means that the gateway can take turns: the log answers, and the lane's workers read it. Without Postgres a gateway
is unready when Postgres is the log. With Kafka it takes turns all the same: then the answer only shows that Postgres is
away, and how old the catalog is. Where several processes serve the socket, /metrics is not there: a scrape would reach
any one of them (own_metrics.py).
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from argosy import telemetry
from argosy.config import Settings
from argosy.errors import StoreReadOnlyError, StoreUnavailableError
from argosy.gateway.access import GuardedRoute, needs_anywhere, open_to_all
from argosy.gateway.authenticate import has_credential
from argosy.gateway.problems import Problem
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import State, state_of
from argosy.gateway.views import encode
from argosy.identity.scopes import Scope

router: Final = APIRouter(tags=["health"], route_class=GuardedRoute)
metrics_router: Final = APIRouter(
    tags=["health"], route_class=GuardedRoute
)  # with GATEWAY_METRICS and one process only

PROBE_S: Final = 1.0  # as long as Kubernetes waits for a probe by default


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
@open_to_all
async def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "Not now", "content": {"application/json": {"schema": {}}}}})
@open_to_all
async def readyz(request: Request) -> Response:
    """200 when turns can be taken; 503 when the log does not answer, or is not the one that workers read.

    Where requests need a credential, more than that is told to those with fleet:read alone.
    """
    is_ready, content = await readiness(state_of(request))
    if not await _is_told(request):
        content = {"ready": is_ready}
    return json_response(content) if is_ready else _unready(content)


async def readiness(state: State) -> tuple[bool, dict[str, Any]]:
    """Return whether turns can be taken, and what shows why."""
    backlog_age_s = await state.writer.backlog_age_s()
    age_s = state.catalog.age_s
    identity_age_s = state.identity.cache.age_s
    store = await _store(state)
    is_ready = (
        is_ready_to_append(state.settings, backlog_age_s, has_store=store == "ok") and not state.log_monitor.reason
    )
    content: dict[str, Any] = {
        "ready": is_ready,
        "log": state.settings.log_backend,
        "log_backlog_age_s": round(backlog_age_s, 3),
        "store": store,
        "cache_age_s": None if age_s is None else round(age_s, 3),
        "identity_age_s": None if identity_age_s is None else round(identity_age_s, 3),
        "workflows": state.catalog.workflow_count,
    }
    if missed := state.identity.access_tokens.missed():
        content["issuers_away"] = missed
    if state.log_monitor.reason:
        content["log_refused"] = state.log_monitor.reason
    if state.log_monitor.away:
        content["log_away"] = state.log_monitor.away
    return is_ready, content


async def _is_told(request: Request) -> bool:
    """Whether who asks is told more than whether the gateway is ready. Whatever is wrong with a credential, a probe is
    answered.
    """
    authenticator = state_of(request).identity.authenticator
    if not authenticator.is_required:
        return True
    if not has_credential(request.scope):
        return False
    try:
        found = authenticator.known(request.scope) or await authenticator.look_up(request.scope)
    except Problem:
        return False
    return Scope.FLEET_READ in found.scopes


def _unready(content: dict[str, Any]) -> Response:
    return Response(encode(content), 503, {"Retry-After": "1"}, "application/json")


def is_ready_to_append(settings: Settings, backlog_age_s: float, *, has_store: bool) -> bool:
    """Whether the log can take turns now.

    backlog_age_s: for how long the oldest append has waited. has_store: Postgres takes writes.
    """
    if settings.log_backend == "postgres" and not has_store:
        return False
    return backlog_age_s <= settings.log_append_timeout_s


@metrics_router.head("/metrics", include_in_schema=False)
@metrics_router.get("/metrics", include_in_schema=False)
@needs_anywhere(Scope.METRICS_READ, minds_limits=True, is_open_locally=True)
async def metrics(request: Request) -> Response:
    """The metrics of this process in Prometheus's text format."""
    body, content_type = telemetry.exposition()
    return Response(body, media_type=content_type)


async def _store(state: State) -> str:
    """Return what Postgres answers within PROBE_S: ok, read_only or unavailable."""
    try:
        async with asyncio.timeout(PROBE_S):
            await state.catalog.probe()
    except StoreReadOnlyError:
        return "read_only"
    except (StoreUnavailableError, TimeoutError):
        return "unavailable"
    return "ok"
