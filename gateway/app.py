"""The application of one gateway process. This module composes it, and decides nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.gateway import access, fleet_views, graph_asked, graph_views, openapi, openapi_document, views
from argosy.gateway.boundary import IDENTITY_ERRORS, Boundary, answer_problem
from argosy.gateway.browser_guard import BrowserGuard
from argosy.gateway.explain import Explanation
from argosy.gateway.graph_problems import GRAPH_ERRORS
from argosy.gateway.ingest import views as ingest_views
from argosy.gateway.problems import Problem, ProblemBody
from argosy.gateway.routes import (
    audit,
    batch,
    console,
    enqueue,
    erasures,
    events,
    fleet,
    graph_acl,
    graph_data,
    graphs,
    health,
    inbox,
    ingest,
    leaders,
    login,
    login_oidc,
    resume,
    sessions,
    shards,
    subjects,
    tenants,
    tokens,
    turns,
    whoami,
)
from argosy.gateway.state import State, make_state
from argosy.gateway.stop_signal import on_stop
from argosy.gateway.turn_request import BatchLine, TurnPosted
from argosy.graph.graphs import open_graphs
from argosy.graph.transport import Connect
from argosy.graph.transports.connect import GrpcConnect
from argosy.logs.open import open_writer
from argosy.logs.topic import turns_topic
from argosy.secret import load_keys
from argosy.store.patience import when_ready
from argosy.store.pool import open_pool
from argosy.store.sealing import seal_payloads
from argosy.workflow.embedder import load_embedder
from argosy.workflow.master_keys import load_master_keys

# The gateway gives up a question to Postgres after this time: a client that gets 503 in time can ask another gateway.
READ_S_MAX: Final = 4.0

SHAPES: Final = [
    BatchLine,
    Explanation,
    ProblemBody,
    TurnPosted,
    erasures.ErasurePage,
    erasures.ErasurePosted,
    erasures.ErasureView,
    fleet.DeadLetterPage,
    fleet.WorkflowPage,
    fleet_views.FleetPage,
    fleet_views.FleetPartitionPage,
    graph_acl.AclPosted,
    graph_acl.AclView,
    *graph_asked.OPS,
    graph_asked.BatchPosted,
    graph_asked.GraphPosted,
    graph_asked.NeighborsPosted,
    graph_asked.QueryPosted,
    graph_asked.RecallPosted,
    graph_asked.SearchPosted,
    graph_views.AppliedView,
    graph_views.GraphDetail,
    graph_views.GraphPage,
    graph_views.NeighborhoodView,
    graph_views.NodePage,
    graph_views.QueryAnswer,
    graph_views.Recollection,
    graph_views.SearchAnswer,
    graph_views.SummaryView,
    ingest_views.JobEvents,
    ingest_views.JobPage,
    ingest_views.JobView,
    ingest_views.RejectView,
    audit.AuditPage,
    leaders.LeaderList,
    shards.FleetShardList,
    shards.FleetMoveList,
    login.LoginMethods,
    login.LoginPosted,
    openapi.LineAnswer,
    openapi.Sent,
    openapi.Resumed,
    openapi.TurnAccepted,
    sessions.SessionDetail,
    sessions.SessionPage,
    sessions.TurnPage,
    subjects.SubjectPosted,
    subjects.SubjectRevoked,
    tenants.TenantPage,
    tenants.TenantPosted,
    tenants.TenantChange,
    tenants.TenantView,
    tokens.RotationPosted,
    tokens.TokenMade,
    tokens.TokenPage,
    tokens.TokenPosted,
    tokens.TokenView,
    whoami.PrincipalView,
    views.Turn,
    views.TurnEvents,
]


def create_app(
    settings: Settings,
    clock: Clock | None = None,
    *,
    connect: Connect | None = None,
    has_signals: bool = True,
    is_private: bool = False,
) -> FastAPI:
    """Return the app. Its lifespan opens Postgres and the log when the app starts, and closes them when it stops.

    The app starts without Postgres, too, and works once Postgres is back. has_signals: the first signal that ends the
    process also ends the open streams; without it, the code that ends the app calls app.state.gateway.drain() first.
    connect: how shards are reached; over gRPC unless it is given. is_private: whoever can reach it is a local user, as
    on the socket of the program that it is in.
    Raises at start: LogUnavailableError, SettingError. Raises UndeclaredRouteError.
    """
    clock = clock or SystemClock()
    plain = [*enqueue.routes, *batch.routes, *inbox.routes]
    app = FastAPI(
        title="Argosy",
        version="1",
        description="Durable turns of agent sessions: accepted means durable, one at a time, in order.",
        lifespan=_lifespan(settings, clock, connect, has_signals=has_signals, is_private=is_private),
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,  # see routes/console.py
        redoc_url=None,
        routes=list(plain),
    )
    modules = (
        turns,
        events,
        inbox,
        resume,
        sessions,
        graphs,
        graph_acl,
        graph_data,
        ingest,
        erasures,
        fleet,
        leaders,
        shards,
        whoami,
        login,
        login_oidc,
        tokens,
        subjects,
        tenants,
        audit,
        health,
        console,
    )
    routers = [each.router for each in modules]
    if settings.gateway_metrics and settings.gateway_workers == 1:
        routers.append(health.metrics_router)
    for router in routers:
        app.include_router(router)
    app.state.routes = [*plain, *(route for router in routers for route in router.routes)]
    access.check_routes(app.state.routes)
    access.check_others(app.routes, app.state.routes)
    own = (Problem, *GRAPH_ERRORS, *IDENTITY_ERRORS, StoreUnavailableError)
    for error in (*own, TimeoutError, RequestValidationError, HTTPException):
        app.add_exception_handler(error, answer_problem)
    app.add_middleware(BrowserGuard, settings=settings)
    app.add_middleware(Boundary, clock=clock, plain=plain, trusted=settings.gateway_trusted_proxies)
    openapi_document.install(app, SHAPES, access.accesses(app.state.routes), is_required=settings.kg_auth_required)
    return app


def _lifespan(
    settings: Settings, clock: Clock, connect: Connect | None, *, has_signals: bool, is_private: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        keys = load_keys(
            settings.graph_service_auth_secret, settings.argosy_data_dir, settings.graph_service_auth_secret_previous
        )
        embedder, masters = load_embedder(settings), load_master_keys(settings)
        reading = settings.model_copy(update={"state_db_timeout_s": min(settings.state_db_timeout_s, READ_S_MAX)})
        async with open_pool(reading, settings.state_db_uri) as pool:
            seal_payloads(pool, masters, clock, settings)
            writer = await when_ready(lambda: open_writer(settings, settings.state_db_uri, turns_topic(settings)))
            try:
                reach = connect or GrpcConnect(keys.shards, clock, settings)
                async with open_graphs(reading, pool, reach, is_settled=True, clock=clock, embedder=embedder) as found:
                    state = make_state(settings, clock, pool, writer, keys, found, is_private=is_private)
                    app.state.gateway = state
                    async with _running(state, has_signals):
                        yield
            finally:
                await writer.close()

    return lifespan


@asynccontextmanager
async def _running(state: State, has_signals: bool) -> AsyncIterator[None]:
    try:
        await state.identity.open()
        await state.limits.open()
        await state.catalog.open()
        await state.log_monitor.open()
        with on_stop(state.drain) if has_signals else nullcontext():
            yield
    finally:
        state.drain()
        await state.log_monitor.close()
        await state.waiting.close()
        await state.more_events.close()
        await state.moved_jobs.close()
        await state.ingest_log.close()
        await state.connections.close()
        await state.poking.close()
        await state.catalog.close()
        await state.limits.close()
        await state.identity.close()
