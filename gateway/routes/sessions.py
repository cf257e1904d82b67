"""GET /v1/sessions, /v1/sessions/{session}, /v1/sessions/{session}/turns: newest first, page by page."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy import ids
from argosy.gateway import names, views
from argosy.gateway.access import GuardedRoute, needs, principal_of, tenant_of
from argosy.gateway.limits import check_names
from argosy.gateway.openapi import answers
from argosy.gateway.page_cursor import ListName
from argosy.gateway.parameters import Cursor, Limit, microseconds, moment, page_size, strict
from argosy.gateway.problems import Problem
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import State, state_of
from argosy.graph.names import own_graph_of
from argosy.identity.scopes import Scope
from argosy.store import session as sessions
from argosy.store import turn as turns
from argosy.store.graph import Directory, GraphRowState
from argosy.turn.status import Status

router: Final = APIRouter(prefix="/v1/sessions", tags=["sessions"], dependencies=[strict], route_class=GuardedRoute)

_Place = tuple[int, uuid.UUID]
# Every row is before this place.
_BEGIN: Final = (datetime.max.replace(tzinfo=UTC), uuid.UUID(int=2**128 - 1))


class SessionView(msgspec.Struct, kw_only=True):
    session: str
    created_at: datetime


class SessionDetail(SessionView, kw_only=True):
    """A session. head: the turn that holds the session, or would run next. turns_queued is counted up to 10000. graph:
    the name of its own graph, null before a turn has used it.
    """

    head: "Head | None"
    turns_queued: int
    graph: str | None


class Head(msgspec.Struct, kw_only=True):
    turn_id: uuid.UUID
    status: str


class SessionPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    sessions: list[SessionView]
    next: str | None


class TurnPage(msgspec.Struct, kw_only=True):
    """`next` is the cursor of the next page, null on the last."""

    turns: list[views.TurnSummary]
    next: str | None


@router.get("", responses=answers("SessionPage"))
@needs(Scope.SESSIONS_READ, minds_limits=True)
async def list_sessions(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Sessions, newest first."""
    state = state_of(request)
    tenant, lane = tenant_of(request), state.settings.lane
    limits = principal_of(request).sessions
    list_name = ("sessions", tenant, lane, *(limits or ()))
    size = page_size(limit, state.settings.page_size_max)
    rows = await sessions.list_sessions(
        state.pool, tenant, lane, before=_begin(state, list_name, cursor), limit=size + 1, patterns=limits
    )
    page, last = rows[:size], rows[size - 1] if len(rows) > size else None
    return json_response(
        SessionPage(
            sessions=[SessionView(session=row.name, created_at=row.created_at) for row in page],
            next=state.cursors.encode(list_name, (microseconds(last.created_at), last.session_id)) if last else None,
        )
    )


@router.get("/{session}", responses=answers("SessionDetail", 404, 422))
@needs(Scope.SESSIONS_READ, minds_limits=True)
async def get_session(session: str, request: Request) -> Response:
    """A session: its head, and how many turns are queued."""
    state = state_of(request)
    session_id = _session_id(request)
    tenant, lane = tenant_of(request), state.settings.lane
    own = own_graph_of(lane, names.path_segment(request.scope, 2))
    row, graph = await asyncio.gather(
        sessions.get_session(state.pool, session_id, tenant, lane), Directory(state.pool).find(tenant, own)
    )
    if row is None:
        raise Problem("session_not_found", "no turn of a session with this name was accepted yet")
    head = None if row.head_turn_id is None else Head(turn_id=row.head_turn_id, status=row.head_status or "")
    return json_response(
        SessionDetail(
            session=row.name,
            created_at=row.created_at,
            head=head,
            turns_queued=row.turns_queued,
            graph=own if graph is not None and graph.state is GraphRowState.ACTIVE else None,
        )
    )


@router.get("/{session}/turns", responses=answers("TurnPage", 404, 422))
@needs(Scope.SESSIONS_READ, minds_limits=True)
async def list_session_turns(
    session: str,
    request: Request,
    status: Annotated[Status | None, Query(description="Only turns with this status.")] = None,
    tag: Annotated[
        str | None,
        Query(min_length=1, max_length=64, pattern="^[^\x00-\x1f\x7f-\x9f]*$", description="Only with this tag."),
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response:
    """Turns of a session, newest first."""
    state = state_of(request)
    tenant, lane = tenant_of(request), state.settings.lane
    session_id = _session_id(request)
    list_name = ("turns", tenant, lane, str(session_id), status, tag)
    size = page_size(limit, state.settings.page_size_max)
    before = _begin(state, list_name, cursor)
    rows = await turns.list_session_turns(
        state.pool, session_id, tenant, lane, status=status, tag=tag, before=before, limit=size + 1
    )
    if not rows and await sessions.get_session(state.pool, session_id, tenant, lane) is None:
        raise Problem("session_not_found", "no turn of a session with this name was accepted yet")
    page, last = rows[:size], rows[size - 1] if len(rows) > size else None
    return json_response(
        TurnPage(
            turns=[views.summary(row) for row in page],
            next=state.cursors.encode(list_name, (microseconds(last.accepted_at), last.turn_id)) if last else None,
        )
    )


def _session_id(request: Request) -> uuid.UUID:
    state = state_of(request)
    name = names.session_name(names.path_segment(request.scope, 2))
    check_names(request, name)
    return ids.session_id_of(tenant_of(request), state.settings.lane, name)


def _begin(state: State, list_name: ListName, cursor: str | None) -> tuple[datetime, uuid.UUID]:
    if cursor is None:
        return _BEGIN
    at_us, row_id = state.cursors.decode(list_name, cursor, _Place)
    return moment(at_us), row_id
