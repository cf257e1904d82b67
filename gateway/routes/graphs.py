"""/v1/graphs, /v1/graphs/{graph}, …/export: the graphs of a tenant, each by its name.

A name is one segment of the address, percent-encoded: `Acme/Corp` is Acme%2FCorp. `.` and `..` are refused, because
clients and proxies remove them from addresses.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from argosy.errors import GraphDeadlineError, OutcomeUnknownError, ShardUnavailableError, WrongOwnerError
from argosy.gateway import graph_asked, graph_views, names
from argosy.gateway.access import GuardedRoute, needs, tenant_of
from argosy.gateway.graph_asker import asker_of, bound_graph, check_existing, check_right, readable
from argosy.gateway.openapi import answers, content, problems
from argosy.gateway.parameters import NO_NUL_PATTERN, Cursor, Limit, page_size
from argosy.gateway.problems import Problem
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import State, state_of
from argosy.gateway.tenant_limits.graph_call import GRAPH_CALL
from argosy.graph.acl import Right
from argosy.graph.bound import BoundGraph
from argosy.graph.ops import NAME_LENGTH_MAX
from argosy.identity.scopes import Scope

router: Final = APIRouter(prefix="/v1/graphs", tags=["graphs"], dependencies=GRAPH_CALL, route_class=GuardedRoute)

# What an address about one graph may answer besides 404, when its shard is asked.
ASKED: Final = (404, 422, 504)
_decoder: Final = msgspec.json.Decoder(graph_asked.GraphPosted)
_DELETED: Final[dict[int | str, Any]] = {
    202: {"description": "Nobody finds it any more; its data go when its shard answers"},
    204: {"description": "It is gone"},
}
# A shard that could not be asked to forget a graph: whoever leads maintenance asks it again.
_LATER: Final = (ShardUnavailableError, WrongOwnerError, OutcomeUnknownError, GraphDeadlineError)
_EXPORTED: Final[dict[int | str, Any]] = {
    200: {
        "description": "A line for each node, edge, key of a batch and session that wrote, between a header and an end",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


def posted(shape: str) -> dict[str, Any]:
    """Return what the OpenAPI document says of a route that reads a body of this shape."""
    return {"requestBody": {"required": True, "content": content("application/json", shape)}}


def graph_of(request: Request) -> BoundGraph:
    """Return the graph that the address names, to be asked. Raises Problem when no graph can have that name."""
    return bound_graph(request, tenant_of(request), name_of(request))


def name_of(request: Request) -> str:
    """Return the name of a graph in the address. Raises Problem."""
    return names.graph_name(names.path_segment(request.scope, 2))


@router.get("", responses=answers("GraphPage"))
@needs(Scope.GRAPHS_READ)
async def list_graphs(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
    """Graphs, in the order of their names. Where access control lists are enforced, a page has those alone that whoever
    asks may read.
    """
    state = state_of(request)
    tenant = tenant_of(request)
    list_name = ("graphs", tenant)
    after = "" if cursor is None else state.cursors.decode(list_name, cursor, tuple[str])[0]
    size = page_size(limit, state.settings.page_size_max)
    rows = await state.graphs.list(tenant, after, size + 1)
    return json_response(
        graph_views.GraphPage(
            graphs=[graph_views.graph(row) for row in await readable(request, rows[:size])],
            next=state.cursors.encode(list_name, (rows[size - 1].graph,)) if len(rows) > size else None,
        )
    )


@router.post("", responses=answers("GraphView", 408, 409, 413, 415, 422, 504), openapi_extra=posted("GraphPosted"))
@needs(Scope.GRAPHS_WRITE)
async def create_graph(request: Request) -> Response:
    """Make a graph, or leave the one as it is that has the name."""
    state = state_of(request)
    tenant = tenant_of(request)
    asked = await graph_asked.question(request, state.settings, _decoder)
    name, asker = names.graph_name(asked.graph), asker_of(request)
    await check_existing(request, tenant, name, Right.WRITE)  # whose life might begin anew
    row = await state.graphs.create(tenant, name, ttl_s=asked.ttl_s, asker=asker, is_sealed=asked.sealed)
    return json_response(graph_views.graph(row))


@router.get("/{graph}", responses=answers("GraphDetail", *ASKED))
@needs(Scope.GRAPHS_READ)
async def get_graph(graph: str, request: Request) -> Response:
    """A graph: where it is, and what it has."""
    state = state_of(request)
    tenant, name = tenant_of(request), name_of(request)
    stats = await graph_of(request).stats()
    return json_response(graph_views.detail(await state.graphs.find(tenant, name), stats))


@router.delete("/{graph}", status_code=204, responses=_DELETED | problems(404, 422))
@needs(Scope.GRAPHS_WRITE)
async def delete_graph(
    graph: str,
    request: Request,
    confirm: Annotated[
        str, Query(max_length=NAME_LENGTH_MAX, pattern=NO_NUL_PATTERN, description="The graph's name, once more.")
    ] = "",
) -> Response:
    """Delete a graph for good. From now on nobody finds it, whether its shard answers (204) or not (202)."""
    state = state_of(request)
    tenant, name = tenant_of(request), name_of(request)
    if confirm != name:
        raise Problem("unconfirmed", "?confirm= is not the name of the graph, which would be lost for good")
    await check_right(request, tenant, name, Right.ADMIN)
    try:
        await state.graphs.drop(tenant, name)
    except _LATER:
        return Response(status_code=202)
    return Response(status_code=204)


@router.get("/{graph}/export", responses=_EXPORTED | problems(410, *ASKED))
@needs(Scope.GRAPHS_READ)
async def export_graph(graph: str, request: Request) -> Response:
    """A consistent copy, as lines of JSON: a header, nodes, edges, keys of batches that were applied, which sessions
    wrote last, and an end with counts and a SHA-256. A copy without its end is not whole: the answer was cut off.
    """
    state = state_of(request)
    lines = graph_of(request).export(deadline_s=state.settings.graph_stream_timeout_s)
    copy = _counted(state, request, lines)
    # What is wrong shows with the first lines: then there is no answer yet that could only be cut off.
    first = await anext(copy, b"")
    return StreamingResponse(_rest(first, copy), media_type="application/x-ndjson")


async def _counted(state: State, request: Request, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    open_requests = state.identity.open_requests
    with state.exports.opened(tenant_of(request)), open_requests.opened(request.scope) as opened:
        async with aclosing(lines):
            async for each in lines:
                opened.check()
                yield each


async def _rest(first: bytes, copy: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(copy):
        yield first
        async for each in copy:
            yield each
