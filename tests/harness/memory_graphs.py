"""Graphs in memory that keep what shards promise: batches whole or not at all, keys, fences, lives of graphs."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from argosy.errors import (
    ArgosyError,
    FencedError,
    GraphNotFoundError,
    KeyMismatchError,
    ShardUnavailableError,
)
from argosy.graph.acl import ALL, GraphAccess
from argosy.graph.asker import Asker
from argosy.graph.embedder import Embedder
from argosy.graph.facts import (
    Answer,
    Applied,
    Direction,
    Edge,
    FencingToken,
    Hit,
    LabelCount,
    Neighborhood,
    Node,
    Source,
    Summary,
    WriteKey,
)
from argosy.graph.ops import DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode, encode_ops
from argosy.workflow.graphs import BoundGraph

_encode = msgspec.json.encode


SHARD = uuid.UUID(int=7)


class Row(NamedTuple):
    incarnation: uuid.UUID
    is_sealed: bool = False


class _RefusedError(Exception):
    """A condition does not hold."""


class MemoryGraph:
    """One graph: argosy.workflow.graphs.BoundGraph, but for what lies between it and who asks."""

    def __init__(self, session_id: uuid.UUID | None) -> None:
        self.incarnation = uuid.uuid4()
        self.session_id = session_id
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}
        self.keys: dict[str, tuple[bytes, Applied]] = {}
        self.fences: dict[uuid.UUID, FencingToken] = {}
        self.version = 0

    def apply(self, ops: Sequence[Op], key: WriteKey | None, token: FencingToken | None, source: Source) -> Applied:
        encoded = encode_ops(ops)
        if key is not None and (known := self.keys.get(key.key)) is not None:
            if known[0] != encoded:
                raise KeyMismatchError(f"{key.key} was used for other operations")
            return known[1]
        if token is not None:
            if token < self.fences.get(token.session_id, token):
                raise FencedError("a later attempt has written to the graph")
            self.fences[token.session_id] = token
        before, applied = (dict(self.nodes), dict(self.edges)), Applied(self.version + 1)
        for index, op in enumerate(ops):
            try:
                self._do(op, applied.version, source)
            except _RefusedError as refused:
                (self.nodes, self.edges), applied = before, Applied(0, index, str(refused))
                break
        self.version = applied.version or self.version
        if key is not None:
            self.keys[key.key] = encoded, applied
        return applied

    def _do(self, op: Op, version: int, source: Source) -> None:
        there = self._there(op)
        if getattr(op, "if_absent", False) and there is not None:
            raise _RefusedError("it is there")
        if op.if_version is not None and (there is None or there.version != op.if_version):
            raise _RefusedError(f"its version is not {op.if_version}")
        if isinstance(op, UpsertNode):
            self.nodes[op.id] = Node(op.id, op.label, _encode(op.props), version, source)
        elif isinstance(op, UpsertEdge):
            if op.src not in self.nodes or op.dst not in self.nodes:
                raise _RefusedError("a node of the edge is not there")
            key = op.src, op.type, op.dst
            self.edges[key] = Edge(*key, _encode(op.props), version, source)
        elif isinstance(op, MergeProps):
            if there is None:
                raise _RefusedError("it is not there")
            props = {k: v for k, v in {**msgspec.json.decode(there.props), **op.props}.items() if v is not None}
            merged = there._replace(props=_encode(props), version=version, source=source)
            if isinstance(merged, Node):
                self.nodes[merged.id] = merged
            else:
                self.edges[merged.src, merged.type, merged.dst] = merged
        elif isinstance(op, DeleteNode):
            self.nodes.pop(op.id, None)
            self.edges = {key: edge for key, edge in self.edges.items() if op.id not in (edge.src, edge.dst)}
        else:
            self.edges.pop((op.src, op.type, op.dst), None)

    def _there(self, op: Op) -> Node | Edge | None:
        if isinstance(op, UpsertNode | DeleteNode) or (isinstance(op, MergeProps) and op.id is not None):
            return self.nodes.get(str(op.id))
        return self.edges.get((str(op.src), str(op.type), str(op.dst)))


class MemoryGraphs:
    """argosy.workflow.graphs.Graphs, on one shard. while_applied: called once a batch is applied, before its answer.
    sent: what was to be applied, whatever became of it; asked: how many calls there were. fails_with: what those
    come to that reach it.
    """

    def __init__(self) -> None:
        self.graphs: dict[tuple[str, str], MemoryGraph] = {}
        self.embedder: Embedder | None = None
        self.fails_with: ArgosyError | None = None
        self._calls_down = 0
        self.while_applied: Callable[[], None] = lambda: None
        self.sent: list[tuple[str, bytes, WriteKey | None, FencingToken | None]] = []
        self.asked = 0

    def go_down(self, calls: int = 10**9) -> None:
        """Answer none of the next calls."""
        self._calls_down = calls

    def come_back(self) -> None:
        self._calls_down = 0

    async def reach(self) -> None:
        await asyncio.sleep(0)
        self.asked += 1
        if self._calls_down:
            self._calls_down -= 1
            error = ShardUnavailableError("the shard of this graph does not answer")
            error.shard = SHARD
            raise error
        if self.fails_with is not None:
            raise self.fails_with

    are_askers_known = False
    are_sealed = False

    def follow_shards(self, after_return: Callable[[uuid.UUID], None]) -> None: ...

    def drop(self, tenant: str, graph: str) -> None:
        del self.graphs[tenant, graph]

    async def create(
        self,
        tenant: str,
        graph: str,
        *,
        session_id: uuid.UUID | None = None,
        ttl_s: float | None = None,
        asker: Asker | None = None,
    ) -> Row:
        if (tenant, graph) not in self.graphs:
            await self.reach()
            self.graphs[tenant, graph] = MemoryGraph(session_id)
        return Row(self.graphs[tenant, graph].incarnation, self.are_sealed)

    def of(
        self, tenant: str, graph: str, incarnation: uuid.UUID | None = None, *, asker: Asker | None = None
    ) -> BoundGraph:
        return _Bound(self, tenant, graph, incarnation)


class _Bound:
    async def get_acl(self, *, deadline_s: float | None = None) -> GraphAccess:
        return GraphAccess(None, ALL)

    def __init__(self, graphs: MemoryGraphs, tenant: str, graph: str, incarnation: uuid.UUID | None) -> None:
        self._graphs, self._name, self._incarnation = graphs, (tenant, graph), incarnation

    async def _found(self) -> MemoryGraph:
        await self._graphs.reach()
        found = self._graphs.graphs.get(self._name)
        if found is None or self._incarnation not in (None, found.incarnation):
            raise GraphNotFoundError(f"there is no graph {self._name[1]!r}")
        return found

    async def apply(
        self, ops: Sequence[Op], *, key: WriteKey | None, token: FencingToken | None, source: Source
    ) -> Applied:
        self._graphs.sent.append((self._name[1], encode_ops(ops), key, token))
        applied = (await self._found()).apply(ops, key, token, source)
        self._graphs.while_applied()
        return applied

    async def get_nodes(self, ids: Sequence[str]) -> list[Node | None]:
        found = await self._found()
        return [found.nodes.get(each) for each in ids]

    async def neighbors(
        self,
        ids: Sequence[str],
        *,
        types: Sequence[str] = (),
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int,
        deadline_s: float | None = None,
    ) -> Neighborhood:
        found = await self._found()
        reached = {each: found.nodes[each] for each in ids if each in found.nodes}
        edges: dict[tuple[str, str, str], Edge] = {}
        for _ in range(depth):
            for key, edge in found.edges.items():
                ends = {edge.src: Direction.OUT, edge.dst: Direction.IN}
                if (not types or edge.type in types) and any(
                    end in reached and direction in (Direction.BOTH, way) for end, way in ends.items()
                ):
                    edges[key] = edge
            reached |= {end: found.nodes[end] for edge in edges.values() for end in (edge.src, edge.dst)}
        nodes = list(reached.values())
        return Neighborhood(nodes[:limit], list(edges.values()), len(nodes) > limit)

    async def query(self, cypher: str, params: dict[str, Any], *, row_limit: int) -> Answer:
        found = await self._found()  # whatever it asks: the ids of all nodes
        return Answer(["id"], [[each] for each in found.nodes][:row_limit], len(found.nodes) > row_limit)

    async def search(self, text: str, *, vector: Any = None, limit: int, deadline_s: float | None = None) -> list[Hit]:
        found = await self._found()
        hits = [Hit(node, 1.0) for node in found.nodes.values() if text.encode() in node.id.encode() + node.props]
        return hits[:limit]

    async def summary(self) -> Summary:
        labels = [node.label for node in (await self._found()).nodes.values()]
        return Summary([LabelCount(each, labels.count(each), []) for each in sorted(set(labels))], [])
