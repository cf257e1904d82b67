"""GET /v1/turns/{turn_id}/events, /v1/sessions/{session}/events: pages and live streams of events.

A turn's events are a page of JSON or, when Accept asks for one, a stream (Server-Sent Events, NDJSON) that goes on
until the turn has ended. A session's events are a stream without end. A stream begins after Last-Event-ID, else after
`from`, else at the beginning.
"""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy import ids
from argosy.gateway import names, views
from argosy.gateway.access import GuardedRoute, needs, tenant_of
from argosy.gateway.limits import check_names, named_turn
from argosy.gateway.openapi import answers, or_stream, problems
from argosy.gateway.parameters import INTEGER_MAX, NO_NUL_PATTERN, Limit, page_size, strict
from argosy.gateway.problems import Problem
from argosy.gateway.resolve import partition_of, resolve
from argosy.gateway.routes.turns import json_response, read_turn
from argosy.gateway.state import State, state_of
from argosy.gateway.stream.event_id import BEGIN, EventId, parse, parse_from
from argosy.gateway.stream.history import History
from argosy.gateway.stream.place_cipher import PlaceCipher
from argosy.gateway.stream.session_source import SessionSource
from argosy.gateway.stream.source import Source
from argosy.gateway.stream.sse import SSE, Format, format_of
from argosy.gateway.stream.stream import Stream
from argosy.gateway.stream.stream_response import StreamResponse
from argosy.gateway.stream.turn_source import TurnSource
from argosy.identity.scopes import Scope
from argosy.store import event as stored
from argosy.store import turn as turns

router: Final = APIRouter(prefix="/v1", tags=["events"], dependencies=[strict], route_class=GuardedRoute)

NOW: Final = "now"

After = Annotated[int | None, Query(ge=0, le=INTEGER_MAX, description="For a page: number of the last event seen.")]
From = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=100,
        pattern=NO_NUL_PATTERN,
        description="For a stream: id of the last event seen. Last-Event-ID takes precedence.",
    ),
]


@router.get("/turns/{turn_id}/events", responses=or_stream(answers("TurnEvents", 404)))
@needs(Scope.EVENTS_READ, minds_limits=True)
async def get_turn_events(
    turn_id: str, request: Request, after: After = None, limit: Limit = None, begin: From = None
) -> Response:
    """The durable events after `after`, in order: 1..n without gaps. When Accept asks for a stream, it goes on with new
    events and frames as they come, and ends with the turn. 204: the turn has ended, and the client has all its events.
    """
    state = state_of(request)
    tenant = tenant_of(request)
    requested = await named_turn(request, turn_id)
    shape = format_of(request.headers.get("accept", ""))
    if shape is None:
        if begin is not None or request.headers.get("last-event-id"):
            detail = "`from` and Last-Event-ID are of a stream: say in Accept which one, or use `after`"
            raise Problem("invalid_parameter", detail)
        return await _page(state, requested, tenant, after or 0, limit)
    if after is not None or limit is not None:
        raise Problem("invalid_parameter", "`after` and `limit` are of a page: a stream has `from`")
    shown = _Turns(state, tenant)
    source = TurnSource(
        _history(shown),
        tenant,
        requested,
        last_event_id(request, begin, parse, parse_from) or BEGIN,
        partition=partition_of(state, requested),
        turns=shown,
    )
    return _streamed(state, tenant, source, shape)


@router.get("/sessions/{session}/events", responses=or_stream(problems(404, 422)))
@needs(Scope.EVENTS_READ, minds_limits=True)
async def get_session_events(session: str, request: Request, begin: From = None) -> Response:
    """A stream of the events of a session's turns, one turn after the other, in the order in which they start.
    `from=now`: from the first turn that has not ended. Before the session has its first turn the stream has no events.
    """
    state = state_of(request)
    tenant = tenant_of(request)
    name = names.session_name(names.path_segment(request.scope, 2))
    check_names(request, name)
    session_id = ids.session_id_of(tenant, state.settings.lane, name)
    cipher = PlaceCipher(state.places_key, session_id, state.places_key_previous)
    source = SessionSource(
        _history(_Turns(state, tenant)),
        tenant,
        session_id,
        last_event_id(request, begin, partial(parse, cipher=cipher), partial(_parse_begin, cipher)),
        cipher,
        partition=ids.partition_of(ids.bucket_of(session_id), state.writer.partition_count),
    )
    return _streamed(state, tenant, source, format_of(request.headers.get("accept", "")) or SSE)


def _streamed(state: State, tenant: str, source: Source, shape: Format) -> Response:
    stream = Stream(state.connections, source, state.settings.sse_heartbeat_s)
    return StreamResponse(state.streams, state.identity.open_requests, tenant, stream, shape)


async def _page(state: State, requested: uuid.UUID, tenant: str, after: int, limit: int | None) -> Response:
    found = await resolve(state, turns.find_turn, requested, tenant)
    if found is None:
        return json_response(views.TurnEvents(turn_id=requested, events=[], next=after))
    events_max = state.settings.events_page_size_max
    rows = await stored.list_turn_events(
        state.pool,
        found.turn_id,
        tenant,
        state.settings.lane,
        after=after,
        limit=page_size(limit, events_max, events_max),
        size_bytes_max=state.settings.answer_size_bytes_max,
        result_size_bytes_max=state.settings.event_result_size_bytes_max,
    )
    events = [views.event(row) for row in rows]
    return json_response(views.TurnEvents(turn_id=found.turn_id, events=events, next=rows[-1].seq if rows else after))


class _Turns(NamedTuple):
    """See gateway.stream.history.Turns."""

    state: State
    tenant: str

    async def find(self, turn_id: uuid.UUID) -> turns.TurnHead | None:
        return await resolve(self.state, turns.find_turn, turn_id, self.tenant)

    async def snapshot(self, turn_id: uuid.UUID) -> bytes:
        return views.encode(await read_turn(self.state, turn_id, self.tenant))


def _history(shown: _Turns) -> History:
    state, settings = shown.state, shown.state.settings
    size_bytes_max = settings.event_result_size_bytes_max
    return History(state.pool, shown.tenant, settings.lane, state.more_events, shown, size_bytes_max)


def _parse_begin(cipher: PlaceCipher, text: str) -> EventId | None:
    return None if text == NOW else parse(text, cipher)


def last_event_id(
    request: Request,
    begin: str | None,
    parse_header: Callable[[str], EventId],
    parse_begin: Callable[[str], EventId | None],
) -> EventId | None:
    """Return the last event that the client has; None when it asks for what happens from now on (`from=now`).

    Raises Problem when its id is none of this stream.
    """
    header = request.headers.get("last-event-id")
    try:
        if header:
            return parse_header(header)
        return parse_begin(begin) if begin else BEGIN
    except ValueError as error:
        raise Problem("invalid_event_id", f"{header or begin!r}: {error}") from None
