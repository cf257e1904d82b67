"""The reads of a shard.

Rules:
- Reads that are over within microseconds are done on the event loop, where they take a third of the time: nodes by id,
  and neighbours of one or two edges, of a graph whose file is open. A neighbourhood that turns out to be large is begun
  again in a thread.
- Everything else is done in threads: a few at once, and a bounded number that waits.
- A read stops at its deadline, and when its caller has gone.
- What an answer may have is bounded, in rows and in bytes.
- Where `ref` has an asker, nodes that they may not read are not there (seen.py).
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from argosy.errors import GraphDeadlineError, GraphTooLargeError
from argosy.graph.acl import GraphAcl
from argosy.graph.asker import Asker
from argosy.graph.facts import Direction, Edge, GraphRef, Hit, Neighborhood, Node, Stats, Summary
from argosy.graph.feeds import FeedState
from argosy.graph.fusion import fuse_hits
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Engine, Graph, Interrupt
from argosy.shards.limits import Limits, size_in_answer
from argosy.shards.seen import SeenGraph
from argosy.shards.threads import Threads

T = TypeVar("T")
Seen = Graph | SeenGraph

_INLINE_S: Final = 0.005  # for which a read may keep others from the loop
# What asks for more is begun in a thread at once: it would hardly be over within _INLINE_S.
_INLINE_IDS_MAX: Final = 64
_INLINE_SIZE_BYTES_MAX: Final = 1_048_576  # of several nodes: some 2 ms
_INLINE_ROWS_MAX: Final = 1_000
_INLINE_DEPTH_MAX: Final = 2
_IDS_AT_ONCE: Final = 64  # a node may have 1 MiB
_ROWS_AT_ONCE: Final = 256  # between two looks at how large the answer is
# Of each ranking that is fused: a node that is far down in one may be far up in the other.
_RANKED_MIN: Final = 50


class Reads:
    """Reads of an engine's graphs. Used on one event loop; `graph` and `limits` are the caller's to check."""

    def __init__(self, engine: Engine, threads: Threads, limits: Limits) -> None:
        self._engine = engine
        self._threads = threads
        self._limits = limits

    def nodes_at_hand(self, ref: GraphRef, ids: Sequence[str]) -> list[Node | None] | None:
        """Return the nodes if that takes microseconds, else None."""
        if len(ids) > _INLINE_IDS_MAX or (graph := self._engine.graph_at_hand(ref)) is None:
            return None
        try:
            found = _seen(graph, ref).get_nodes(ref, ids, _INLINE_SIZE_BYTES_MAX)
        except GraphTooLargeError:  # for this loop
            return None
        self._limits.check_size(found)
        return found

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], deadline: Deadline) -> list[Node | None]:
        """Return the nodes, read in a thread."""
        return await self._seen_in_thread(ref, lambda graph, stop: self._get_nodes(graph, ref, ids, stop), deadline)

    async def neighbors(
        self,
        ref: GraphRef,
        ids: Sequence[str],
        types: Sequence[str],
        direction: Direction,
        depth: int,
        limit: int,
        deadline: Deadline,
    ) -> Neighborhood:
        def read(graph: Seen, stop: Interrupt) -> Neighborhood:
            return graph.neighbors(ref, ids, types=types, direction=direction, depth=depth, limit=limit, interrupt=stop)

        is_small = len(ids) <= _INLINE_IDS_MAX and depth <= _INLINE_DEPTH_MAX and limit <= _INLINE_ROWS_MAX
        found = self._inline(ref, read, deadline) if is_small else None
        if found is None:
            found = await self._seen_in_thread(ref, read, deadline)
        return self._cut(found)

    async def scan(self, ref: GraphRef, label: str, after: str, limit: int, deadline: Deadline) -> list[Node]:
        def read(graph: Seen, stop: Interrupt) -> list[Node]:
            found: list[Node] = []
            size_bytes = 0
            while len(found) < limit:
                behind = found[-1].id if found else after
                page = graph.scan(ref, label, behind, min(_ROWS_AT_ONCE, limit - len(found)), stop)
                found += page
                size_bytes = self._limits.check_size(page, size_bytes)
                if not page:
                    break
            return found

        return await self._seen_in_thread(ref, read, deadline)

    async def scan_edges(
        self, ref: GraphRef, after: tuple[str, str, str], limit: int, deadline: Deadline
    ) -> list[Edge]:
        def read(graph: Seen, stop: Interrupt) -> list[Edge]:
            found: list[Edge] = []
            size_bytes = 0
            while len(found) < limit:
                behind = found[-1][:3] if found else after
                page = graph.scan_edges(ref, behind, min(_ROWS_AT_ONCE, limit - len(found)), stop)
                found += page
                size_bytes = self._limits.check_size(page, size_bytes)
                if not page:
                    break
            return found

        return await self._seen_in_thread(ref, read, deadline)

    async def search(
        self, ref: GraphRef, text: str, vector: tuple[str, Sequence[float]] | None, limit: int, deadline: Deadline
    ) -> list[Hit]:
        def read(graph: Seen, stop: Interrupt) -> list[Hit]:
            if vector is None:
                return graph.search(ref, text, limit, stop)
            if not text.strip():
                return graph.nearest(ref, *vector, limit, stop)
            ranked = max(limit, _RANKED_MIN)
            return fuse_hits([graph.search(ref, text, ranked, stop), graph.nearest(ref, *vector, ranked, stop)], limit)

        found = await self._seen_in_thread(ref, read, deadline)
        self._limits.check_size([hit.node for hit in found])
        return found

    async def summary(self, ref: GraphRef, deadline: Deadline) -> Summary:
        return await self._seen_in_thread(ref, lambda graph, stop: graph.summary(ref, stop), deadline)

    async def acl(self, ref: GraphRef, deadline: Deadline) -> GraphAcl | None:
        """Return the graph's access control list: at once, if its file is open."""
        if (graph := self._engine.graph_at_hand(ref)) is not None:
            return graph.acl(ref)
        return await self._in_thread(ref, lambda graph, _: graph.acl(ref), deadline)

    async def of_asker(
        self, ref: GraphRef, asker: Asker, read: Callable[[SeenGraph, Interrupt], T], deadline: Deadline
    ) -> T:
        """Return what is read, in a thread, of the graph as an asker sees it."""
        return await self._in_thread(ref, lambda graph, stop: read(SeenGraph(graph, asker), stop), deadline)

    async def feeds(self, ref: GraphRef, names: Sequence[str], deadline: Deadline) -> list[FeedState | None]:
        return await self._in_thread(ref, lambda graph, _: graph.feeds(ref, names), deadline)

    async def stats(self, ref: GraphRef, deadline: Deadline) -> Stats:
        return await self._in_thread(ref, lambda graph, _: graph.stats(), deadline)

    def _get_nodes(self, graph: Seen, ref: GraphRef, ids: Sequence[str], stop: Interrupt) -> list[Node | None]:
        found: list[Node | None] = []
        size_bytes = 0
        for start in range(0, len(ids), _IDS_AT_ONCE):
            if stop():
                raise GraphDeadlineError("the nodes could not be read before the deadline")
            some = graph.get_nodes(ref, ids[start : start + _IDS_AT_ONCE])
            size_bytes = self._limits.check_size(some, size_bytes)
            found += some
        return found

    def _inline(self, ref: GraphRef, read: Callable[[Seen, Interrupt], T], deadline: Deadline) -> T | None:
        """Return what is read on the loop within _INLINE_S; None: it takes longer."""
        graph = self._engine.graph_at_hand(ref)
        if graph is None:
            return None
        try:
            return read(_seen(graph, ref), deadline.within(_INLINE_S))
        except GraphDeadlineError:
            return None

    async def _in_thread(self, ref: GraphRef, read: Callable[[Graph, Interrupt], T], deadline: Deadline) -> T:
        return await self._threads.run(ref.tenant, lambda stop: read(self._engine.graph(ref), stop), deadline)

    async def _seen_in_thread(self, ref: GraphRef, read: Callable[[Seen, Interrupt], T], deadline: Deadline) -> T:
        return await self._in_thread(ref, lambda graph, stop: read(_seen(graph, ref), stop), deadline)

    def _cut(self, found: Neighborhood) -> Neighborhood:
        """Return a neighbourhood without the farthest nodes that are too much, and without their edges."""
        left = self._limits.answer_size_bytes_max
        if sum(map(size_in_answer, found.nodes)) + sum(map(size_in_answer, found.edges)) <= left:
            return found
        nodes: list[Node] = []
        for node in found.nodes:
            if size_in_answer(node) > left:
                break
            left -= size_in_answer(node)
            nodes.append(node)
        ids = {node.id for node in nodes}
        edges: list[Edge] = []
        for edge in found.edges:
            if edge.src in ids and edge.dst in ids and size_in_answer(edge) <= left:
                left -= size_in_answer(edge)
                edges.append(edge)
        return Neighborhood(nodes, edges, is_cut=True)


def _seen(graph: Graph, ref: GraphRef) -> Seen:
    """Return a graph as whoever asks sees it."""
    asker = ref.limited
    return graph if asker is None else SeenGraph(graph, asker)
