"""`ctx.graph(…)`: what a workflow does with a graph, and `argosy.graph(…)`: what a step reads of one.

Operations and answers are JSON, in the shapes that REST has (argosy/graph/ops.py, argosy/graph/shapes.py). Nodes are
named by their ids, edges by triples (src, type, dst).
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

import msgspec

from argosy.errors import GraphInputError
from argosy.graph.facts import Direction
from argosy.graph.ops import Op, check_ops, encode_ops

Result = TypeVar("Result")
Shape = dict[str, Any]
Edge = tuple[str, str, str]


class GraphCalls(Protocol):
    """Begins reads and writes of one graph."""

    def read(self, name: str, asked: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """Ask the graph. name: of a read (argosy/workflow/graph_reads.py); asked: its arguments."""

    def write(self, ops: str) -> Coroutine[Any, Any, int]:
        """Write to the graph. ops: JSON."""


class Graph:
    """One graph. Each method begins an operation, which is awaited.

    Writes return the version that the graph then has. They raise GraphConditionError when a condition did not hold, or
    an edge lacks a node: then nothing of the write was applied. They may only be used in a workflow. What a graph
    cannot do raises StepFailedError, whose error_type names why: GraphNotFoundError, CypherError, PayloadTooLargeError,
    … While the graph's shard is away, a workflow is suspended, and so is one whose step reads: it gets GraphAwayError,
    and is tried again when it ends with that.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: GraphCalls) -> None:
        self._calls = calls

    def upsert_nodes(self, nodes: Iterable[Mapping[str, Any]]) -> Coroutine[Any, Any, int]:
        """Set nodes, each with label and all props: {"id", "label", "props"?, "vectors"?, "keep_vectors"?,
        "if_absent"?, "if_version"?}.
        """
        return self.apply({"op": "upsert_node", **node} for node in nodes)

    def upsert_edges(self, edges: Iterable[Mapping[str, Any]]) -> Coroutine[Any, Any, int]:
        """Set edges, each with all props: {"src", "type", "dst", "props"?, "if_absent"?, "if_version"?}. Their nodes
        are there.
        """
        return self.apply({"op": "upsert_edge", **edge} for edge in edges)

    def merge_props(
        self, what: str | Edge, props: Mapping[str, Any], *, if_version: int | None = None
    ) -> Coroutine[Any, Any, int]:
        """Set these props of a node or an edge, and remove those that are None; the others stay."""
        return self.apply([{"op": "merge_props", **_named(what), "props": props, "if_version": if_version}])

    def delete(self, *what: str | Edge, if_version: int | None = None) -> Coroutine[Any, Any, int]:
        """Delete nodes, with their edges, and edges. One that is not there is no error."""
        return self.apply(
            {"op": "delete_node" if isinstance(each, str) else "delete_edge", **_named(each), "if_version": if_version}
            for each in what
        )

    def apply(self, ops: Iterable[Mapping[str, Any]]) -> Coroutine[Any, Any, int]:
        """Apply operations as one batch: all of them or none. Raises GraphInputError when one is not valid."""
        return self._calls.write(_encoded(ops))

    @overload
    def get(self, ids: str, /) -> Coroutine[Any, Any, Shape | None]: ...  # type: ignore[overload-overlap]
    @overload
    def get(self, ids: Sequence[str], /) -> Coroutine[Any, Any, list[Shape | None]]: ...
    def get(self, ids: str | Sequence[str], /) -> Coroutine[Any, Any, Any]:
        """Return a node, or for several ids a list of them; None in place of each that is not there."""
        if isinstance(ids, str):
            return _first(self._calls.read("get", {"ids": [ids]}))
        return self._calls.read("get", {"ids": list(ids)})

    def neighbors(
        self,
        ids: str | Sequence[str],
        *,
        types: Sequence[str] = (),
        direction: str = "both",
        depth: int = 1,
        limit: int = 100,
    ) -> Coroutine[Any, Any, Shape]:
        """Return what lies within `depth` edges (of these types; none: any) of these nodes: {"nodes", "edges",
        "is_cut"}. types: 64 at most; direction: "out", "in" or "both"; limit: of the nodes.
        """
        asked = {"types": list(types), "direction": _direction(direction), "depth": depth, "limit": limit}
        return self._calls.read("neighbors", {"ids": [ids] if isinstance(ids, str) else list(ids), **asked})

    def query(
        self, cypher: str, params: Mapping[str, Any] | None = None, *, row_limit: int = 1_000
    ) -> Coroutine[Any, Any, Shape]:
        """Return what a reading Cypher query finds: {"columns", "rows", "is_cut"}."""
        return self._calls.read("query", {"cypher": cypher, "params": dict(params or {}), "row_limit": row_limit})

    def search(
        self, text: str = "", *, vector: tuple[str, Sequence[float]] | None = None, limit: int = 10
    ) -> Coroutine[Any, Any, list[Shape]]:
        """Return nodes by the words of a text, by a vector (its name and numbers), or by both, the best first:
        [{"node", "score"}, …]. With EMBEDDER, a text without a vector gets one; so it does for `recall`.
        """
        return self._calls.read("search", {"text": text, "vector": _vector(vector), "limit": limit})

    def summary(self) -> Coroutine[Any, Any, Shape]:
        """Return labels, types of edges and their properties, with counts: {"nodes", "edges", "text"}. text: the same
        in two lines, for a prompt.
        """
        return self._calls.read("summary", {})

    def recall(
        self, text: str, budget_tokens: int = 1_000, *, vector: tuple[str, Sequence[float]] | None = None
    ) -> Coroutine[Any, Any, Shape]:
        """Return what the graph has about a text, the most relevant facts first, as much as a budget holds: {"text",
        "facts", "tokens", "is_cut"}. text: a line for each fact, for a prompt; each fact has the turn and step that
        wrote it.
        """
        return self._calls.read("recall", {"text": text, "budget_tokens": budget_tokens, "vector": _vector(vector)})


class Blocks(Protocol):
    """The thread of blocking code."""

    def block(self, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Wait for an operation, and return or raise what it came to."""


class SyncGraph:
    """A graph in blocking code: a synchronous workflow or step. Graph says what each method promises."""

    __slots__ = ("_graph", "_thread")

    def __init__(self, graph: Graph, thread: Blocks) -> None:
        self._graph = graph
        self._thread = thread

    def upsert_nodes(self, nodes: Iterable[Mapping[str, Any]]) -> int:
        return self._wait(self._graph.upsert_nodes, nodes)

    def upsert_edges(self, edges: Iterable[Mapping[str, Any]]) -> int:
        return self._wait(self._graph.upsert_edges, edges)

    def merge_props(self, what: str | Edge, props: Mapping[str, Any], *, if_version: int | None = None) -> int:
        return self._wait(self._graph.merge_props, what, props, if_version=if_version)

    def delete(self, *what: str | Edge, if_version: int | None = None) -> int:
        return self._wait(self._graph.delete, *what, if_version=if_version)

    def apply(self, ops: Iterable[Mapping[str, Any]]) -> int:
        return self._wait(self._graph.apply, ops)

    @overload
    def get(self, ids: str, /) -> Shape | None: ...  # type: ignore[overload-overlap]
    @overload
    def get(self, ids: Sequence[str], /) -> list[Shape | None]: ...
    def get(self, ids: str | Sequence[str], /) -> Any:
        return self._wait(self._graph.get, ids)

    def neighbors(self, ids: str | Sequence[str], **how: Any) -> Shape:
        return self._wait(self._graph.neighbors, ids, **how)

    def query(self, cypher: str, params: Mapping[str, Any] | None = None, *, row_limit: int = 1_000) -> Shape:
        return self._wait(self._graph.query, cypher, params, row_limit=row_limit)

    def search(
        self, text: str = "", *, vector: tuple[str, Sequence[float]] | None = None, limit: int = 10
    ) -> list[Shape]:
        return self._wait(self._graph.search, text, vector=vector, limit=limit)

    def summary(self) -> Shape:
        return self._wait(self._graph.summary)

    def recall(
        self, text: str, budget_tokens: int = 1_000, *, vector: tuple[str, Sequence[float]] | None = None
    ) -> Shape:
        return self._wait(self._graph.recall, text, budget_tokens, vector=vector)

    def _wait(self, operation: Callable[..., Coroutine[Any, Any, Result]], *args: Any, **kwargs: Any) -> Result:
        return self._thread.block(lambda: operation(*args, **kwargs))


async def _first(found: Coroutine[Any, Any, list[Shape | None]]) -> Shape | None:
    return (await found)[0]


def _encoded(ops: Iterable[Mapping[str, Any]]) -> str:
    try:
        made = msgspec.convert([_without_none(op) for op in ops], list[Op])
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise GraphInputError(f"ops: {error}") from None
    check_ops(made)
    return encode_ops(made).decode()


def _without_none(op: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in op.items() if value is not None}


def _named(what: str | Edge) -> dict[str, str]:
    if isinstance(what, str):
        return {"id": what}
    try:
        src, kind, dst = what
    except (TypeError, ValueError):
        raise GraphInputError(f"a node is named by its id, an edge by (src, type, dst), not {what!r:.80}") from None
    return {"src": src, "type": kind, "dst": dst}


def _direction(direction: str) -> str:
    try:
        return Direction(direction).value
    except ValueError:
        raise GraphInputError(f'direction is "out", "in" or "both", not {direction!r:.80}') from None


def _vector(vector: tuple[str, Sequence[float]] | None) -> list[Any] | None:
    return None if vector is None else [vector[0], [float(each) for each in vector[1]]]
