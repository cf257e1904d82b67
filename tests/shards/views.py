"""What the tests of views stand on: a view of a graph given as it reads, and the plain model that it has to equal."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from argosy.graph.facts import Answer, Edge, Node, Source
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, Props, UpsertEdge, UpsertNode
from argosy.shards.views.kglite import KgliteView, KgliteViews, ViewLimits

LIMITS: Final = ViewLimits(memory_bytes_max=256 * 1_048_576, queries_max=2, answer_size_bytes_max=4 * 1_048_576)
# Takes minutes and no memory, and sees its deadline. The engine ends a query after ten million items of `range`, within
# seconds: so the innermost list, where the time goes, is made once.
ENDLESS: Final = (
    "WITH range(1, 30) AS few RETURN size([i IN range(1, 9000) WHERE "
    "size([j IN range(1, 900) WHERE size([k IN few WHERE i * j * k < 0]) > 0]) > 0])"
)


class Model:
    """A graph as two dictionaries."""

    def __init__(self, ops: Sequence[Op] = ()) -> None:
        self.nodes: dict[str, tuple[str, Props]] = {}
        self.edges: dict[tuple[str, str, str], Props] = {}
        self.apply(ops)

    def apply(self, ops: Sequence[Op]) -> None:
        for op in ops:
            match op:
                case UpsertNode():
                    self.nodes[op.id] = (op.label, op.props)
                case UpsertEdge():
                    self.edges[op.src, op.type, op.dst] = op.props
                case DeleteNode():
                    self.nodes.pop(op.id, None)
                    self.edges = {key: props for key, props in self.edges.items() if op.id not in (key[0], key[2])}
                case DeleteEdge():
                    self.edges.pop((op.src, op.type, op.dst), None)
                case MergeProps(id=str(id)):
                    label, props = self.nodes[id]
                    self.nodes[id] = (label, merged(props, op.props))
                case MergeProps(src=str(src), type=str(type), dst=str(dst)):
                    self.edges[src, type, dst] = merged(self.edges[src, type, dst], op.props)

    async def facts(self) -> AsyncIterator[Sequence[Node | Edge]]:
        yield [Node(each, label, dumped(props), 1, Source()) for each, (label, props) in self.nodes.items()]
        yield [Edge(*key, dumped(props), 1, Source()) for key, props in self.edges.items()]

    def seen(self) -> tuple[list[Any], list[Any]]:
        """What a view answers when it is asked for all: a property that is null is not there."""
        nodes = [{"id": each, "label": label, "props": present(props)} for each, (label, props) in self.nodes.items()]
        edges = [{"src": s, "type": t, "dst": d, "props": present(props)} for (s, t, d), props in self.edges.items()]
        return sorted(nodes, key=dumped), sorted(edges, key=dumped)


def dumped(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def merged(props: Props, patch: Props) -> Props:
    return {key: value for key, value in (props | patch).items() if value is not None}


def present(props: Props) -> Props:
    return {key: value for key, value in props.items() if value is not None}


@asynccontextmanager
async def view_of(ops: Sequence[Op] = (), limits: ViewLimits = LIMITS) -> AsyncIterator[KgliteView]:
    view = KgliteViews(limits).make()
    try:
        await view.build(1, Model(ops).facts())
        yield view
    finally:
        await view.close()


async def ask(view: KgliteView, cypher: str, timeout_s: float = 10.0, row_limit: int = 10_000, **params: Any) -> Answer:
    return await view.query(
        cypher, params, timeout_s=timeout_s, row_limit=row_limit, size_bytes_max=LIMITS.answer_size_bytes_max
    )


async def rows(view: KgliteView, cypher: str, **params: Any) -> list[list[Any]]:
    return (await ask(view, cypher, **params)).rows


async def value(view: KgliteView, cypher: str, **params: Any) -> Any:
    [[only]] = await rows(view, cypher, **params)
    return only


async def seen(view: KgliteView) -> tuple[list[Any], list[Any]]:
    nodes = [row[0] for row in await rows(view, "MATCH (n) RETURN n")]
    edges = [row[0] for row in await rows(view, "MATCH ()-[r]->() RETURN r")]
    return sorted(nodes, key=dumped), sorted(edges, key=dumped)
