"""Reads of a graph, as workflows and steps ask for them: what each answers is JSON (argosy/graph/shapes.py)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from argosy.errors import GraphNotFoundError
from argosy.graph.facts import Direction
from argosy.graph.recall import recall
from argosy.graph.shapes import (
    answer_shape,
    hit_shape,
    neighborhood_shape,
    node_shape,
    recalled_shape,
    summary_shape,
)
from argosy.identity.scopes import Scope
from argosy.workflow.graph_away import told_to_tenants
from argosy.workflow.graphs import BoundGraph, TurnGraphs


async def read(graphs: TurnGraphs, graph: str | None, name: str, asked: dict[str, Any]) -> Any:
    """Return what a read answers. graph: its name; None: the session's own. name: one of READS; asked: its arguments.

    A session's own graph is made when it is first asked for. Raises GraphNotFoundError for another one that is not
    there, GraphAwayError when it cannot be asked now, and NoRightError.
    """
    graphs.need(Scope.GRAPHS_READ, graph)
    ask = READS[name]
    with told_to_tenants():
        try:
            return await ask(graphs.of(graph), **asked)
        except GraphNotFoundError:
            if graph not in (None, graphs.own):
                raise
        await graphs.create(graph)
        return await ask(graphs.of(graph), **asked)


async def _get(graph: BoundGraph, ids: Sequence[str]) -> Any:
    return [node and node_shape(node) for node in await graph.get_nodes(ids)]


async def _neighbors(
    graph: BoundGraph, ids: Sequence[str], types: Sequence[str], direction: str, depth: int, limit: int
) -> Any:
    found = await graph.neighbors(ids, types=types, direction=Direction(direction), depth=depth, limit=limit)
    return neighborhood_shape(found)


async def _query(graph: BoundGraph, cypher: str, params: dict[str, Any], row_limit: int) -> Any:
    return answer_shape(await graph.query(cypher, params, row_limit=row_limit))


async def _search(graph: BoundGraph, text: str, vector: tuple[str, Sequence[float]] | None, limit: int) -> Any:
    return [hit_shape(hit) for hit in await graph.search(text, vector=vector, limit=limit)]


async def _summary(graph: BoundGraph) -> Any:
    return summary_shape(await graph.summary())


async def _recall(graph: BoundGraph, text: str, budget_tokens: int, vector: tuple[str, Sequence[float]] | None) -> Any:
    return recalled_shape(await recall(graph, text, budget_tokens, vector=vector))


READS: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    "get": _get,
    "neighbors": _neighbors,
    "query": _query,
    "search": _search,
    "summary": _summary,
    "recall": _recall,
}
