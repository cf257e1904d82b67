"""/v1/graphs/{graph}/apply, /query, /nodes, /neighbors, /search, /summary, /recall: writes to a graph, and questions.

Shapes: argosy/graph/ops.py, gateway/graph_views.py. What only asks is a POST all the same where what is asked may be
large: its answer changes nothing, and may be asked for again.
"""

import asyncio
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway import graph_asked, graph_views, names
from argosy.gateway.access import GuardedRoute, needs, tenant_of
from argosy.gateway.graph_problems import refused
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import NO_NUL_PATTERN, Cursor, Limit, page_size
from argosy.gateway.problems import Problem
from argosy.gateway.routes.graphs import ASKED, graph_of, name_of, posted
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.gateway.tenant_limits.graph_call import GRAPH_CALL
from argosy.gateway.turn_request import checked_key
from argosy.graph.facts import WriteKey
from argosy.graph.ops import NAME_LENGTH_MAX, decode_ops
from argosy.graph.recall import recall
from argosy.identity.scopes import Scope

router: Final = APIRouter(
    prefix="/v1/graphs/{graph}", tags=["graphs"], dependencies=GRAPH_CALL, route_class=GuardedRoute
)

# A key of a client must never be that of a turn's step, which begins with the turn's id.
_KEY_PREFIX: Final = "client/"
_INLINE_SIZE_BYTES_MAX: Final = 262_144  # some 3 ms; larger batches are checked in a thread
_BODY: Final = (408, 413, 415, *ASKED)

_query: Final = msgspec.json.Decoder(graph_asked.QueryPosted)
_neighbors: Final = msgspec.json.Decoder(graph_asked.NeighborsPosted)
_search: Final = msgspec.json.Decoder(graph_asked.SearchPosted)
_recall: Final = msgspec.json.Decoder(graph_asked.RecallPosted)


@router.post("/apply", responses=answers("AppliedView", 409, *_BODY), openapi_extra=posted("BatchPosted"))
@needs(Scope.GRAPHS_WRITE)
async def apply_ops(graph: str, request: Request) -> Response:
    """Apply a batch of operations: all of them or none, and with an idempotency key once."""
    state = state_of(request)
    found = graph_of(request)
    asked = await graph_asked.batch(request, state.settings)
    key = checked_key(graph_asked.key_of(request, asked))
    raw = bytes(asked.ops)
    ops = decode_ops(raw) if len(raw) <= _INLINE_SIZE_BYTES_MAX else await asyncio.to_thread(decode_ops, raw)
    write_key = None if key is None else WriteKey(_KEY_PREFIX + key, state.clock.unix_ms())
    applied = await found.apply(ops, key=write_key)
    if not applied.version:
        raise refused(applied)
    return json_response(graph_views.AppliedView(version=applied.version))


@router.post("/query", responses=answers("QueryAnswer", 409, *_BODY), openapi_extra=posted("QueryPosted"))
@needs(Scope.GRAPHS_READ)
async def query_graph(graph: str, request: Request) -> Response:
    """Answer a query in Cypher, which reads and does not write, with what was applied before."""
    found = graph_of(request)
    asked = await graph_asked.question(request, state_of(request).settings, _query)
    row_limit = int(asked.limit or graph_asked.ROWS_DEFAULT)
    answer = await found.query(asked.cypher, asked.params, row_limit=row_limit)
    if answer.is_cut and asked.limit is None:
        hint = "ask for fewer (LIMIT, and SKIP for the next), or say with `limit` that more may be cut off"
        raise Problem("graph_too_large", f"the answer has more than {len(answer.rows)} rows: {hint}")
    return json_response(graph_views.rows(answer))


@router.get("/nodes", responses=answers("NodePage", 410, 413, *ASKED))
@needs(Scope.GRAPHS_READ)
async def list_nodes(
    graph: str,
    request: Request,
    label: Annotated[
        str | None,
        Query(min_length=1, max_length=NAME_LENGTH_MAX, pattern=NO_NUL_PATTERN, description="Only of this label."),
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response:
    """Nodes, in the order of their ids."""
    state = state_of(request)
    list_name = ("nodes", tenant_of(request), name_of(request), label)
    after = "" if cursor is None else state.cursors.decode(list_name, cursor, tuple[str])[0]
    size = page_size(limit, state.settings.page_size_max)
    rows = await graph_of(request).scan(label=label or "", after=after, limit=size + 1)
    return json_response(
        graph_views.NodePage(
            nodes=[graph_views.node(row) for row in rows[:size]],
            next=state.cursors.encode(list_name, (rows[size - 1].id,)) if len(rows) > size else None,
        )
    )


@router.get("/nodes/{node}", responses=answers("NodeView", 410, 413, *ASKED))
@needs(Scope.GRAPHS_READ)
async def get_node(graph: str, node: str, request: Request) -> Response:
    """A node. Its id is one segment of the address, percent-encoded."""
    node_id = names.node_id(names.path_segment(request.scope, 4))
    [found] = await graph_of(request).get_nodes([node_id])
    if found is None:
        raise Problem("node_not_found", f"the graph has no node {node_id!r}")
    return json_response(graph_views.node(found))


@router.post("/neighbors", responses=answers("NeighborhoodView", 410, *_BODY), openapi_extra=posted("NeighborsPosted"))
@needs(Scope.GRAPHS_READ)
async def get_neighbors(graph: str, request: Request) -> Response:
    """What lies around nodes: up to `limit` nodes within `depth` edges, and the edges between them."""
    found = graph_of(request)
    asked = await graph_asked.question(request, state_of(request).settings, _neighbors)
    around = await found.neighbors(
        asked.ids, types=asked.types, direction=asked.direction, depth=int(asked.depth), limit=int(asked.limit)
    )
    return json_response(graph_views.neighborhood(around))


@router.post("/search", responses=answers("SearchAnswer", 409, 410, *_BODY), openapi_extra=posted("SearchPosted"))
@needs(Scope.GRAPHS_READ)
async def search_graph(graph: str, request: Request) -> Response:
    """Nodes by the words of a text (id, label and text in props), by a vector, or by both."""
    found = graph_of(request)
    asked = await graph_asked.question(request, state_of(request).settings, _search)
    hits = await found.search(asked.text, vector=graph_asked.vector_of(asked.vector), limit=int(asked.limit))
    return json_response(graph_views.hits(hits))


@router.get("/summary", responses=answers("SummaryView", 413, *ASKED))
@needs(Scope.GRAPHS_READ)
async def summarize_graph(graph: str, request: Request) -> Response:
    """The schema that a graph has come to have: labels, types of edges and properties, with counts; and as a text."""
    return json_response(graph_views.summary(await graph_of(request).summary()))


@router.post("/recall", responses=answers("Recollection", 409, 410, *_BODY), openapi_extra=posted("RecallPosted"))
@needs(Scope.GRAPHS_READ)
async def recall_from_graph(graph: str, request: Request) -> Response:
    """What a graph has about a text, for a prompt: what a search finds and what lies around it, trimmed to a budget."""
    found = graph_of(request)
    asked = await graph_asked.question(request, state_of(request).settings, _recall)
    vector = graph_asked.vector_of(asked.vector)
    return json_response(
        graph_views.recollection(await recall(found, asked.text, int(asked.budget_tokens), vector=vector))
    )
