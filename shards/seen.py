"""A graph as somebody sees it from whom lists keep some of its nodes: argosy/graph/acl.py.

Rules:
- What is not seen is as if it were not there: in no answer, in no count, in no rank, and nothing is found through it.
- Reads of the engine are taken page by page, and asked for more until they have what is seen, or everything.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from argosy.graph.acl import PROPERTY, sees
from argosy.graph.asker import Asker
from argosy.graph.facts import Direction, Edge, GraphRef, Hit, LabelCount, Neighborhood, Node, Summary
from argosy.graph.fusion import fuse_hits
from argosy.shards.engine import Graph, Interrupt

_AT_ONCE: Final = 256  # of a scan that looks at everything
_FOUND_MAX: Final = 16_384  # hits that are looked at for those that are seen; behind them nothing is found
_LABELS_MAX: Final = 100  # of a summary, and types of edges; the engine says as many
_PROPS_MAX: Final = 50  # of each
_FIRST: Final = ("", "", "")

_keys_of: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class SeenGraph:
    """The reads of a graph for one asker, who is no administrator of it. See Graph for what each promises."""

    def __init__(self, graph: Graph, asker: Asker) -> None:
        self._graph = graph
        self._asker = asker

    def get_nodes(self, ref: GraphRef, ids: Sequence[str], size_bytes_max: int | None = None) -> list[Node | None]:
        found = self._graph.get_nodes(ref, ids, size_bytes_max)
        return [node if node is not None and self._sees(node) else None for node in found]

    def neighbors(
        self,
        ref: GraphRef,
        ids: Sequence[str],
        *,
        types: Sequence[str],
        direction: Direction,
        depth: int,
        limit: int,
        interrupt: Interrupt,
    ) -> Neighborhood:
        return self._graph.neighbors(
            ref._replace(asker=self._asker),
            ids,
            types=types,
            direction=direction,
            depth=depth,
            limit=limit,
            interrupt=interrupt,
        )

    def scan(self, ref: GraphRef, label: str, after: str, limit: int, interrupt: Interrupt) -> list[Node]:
        found: list[Node] = []
        while len(found) < limit and (page := self._graph.scan(ref, label, after, limit, interrupt)):
            found += [node for node in page if self._sees(node)]
            after = page[-1].id
        return found[:limit]

    def scan_edges(self, ref: GraphRef, after: tuple[str, str, str], limit: int, interrupt: Interrupt) -> list[Edge]:
        found: list[Edge] = []
        while len(found) < limit and (page := self._graph.scan_edges(ref, after, limit, interrupt)):
            found += self._seen_edges(ref, page)
            after = page[-1][:3]
        return found[:limit]

    def search(self, ref: GraphRef, text: str, limit: int, interrupt: Interrupt) -> list[Hit]:
        """Scores are by rank: how rare a word is says something of nodes that are not seen, too."""
        asked = limit
        while True:
            found = self._graph.search(ref, text, asked, interrupt)
            if (seen := self._enough(found, limit, asked)) is not None:
                return fuse_hits([seen], limit)
            asked = min(asked * 4, _FOUND_MAX)

    def nearest(self, ref: GraphRef, name: str, vector: Sequence[float], limit: int, interrupt: Interrupt) -> list[Hit]:
        asked = limit
        while True:
            found = self._graph.nearest(ref, name, vector, asked, interrupt)
            if (seen := self._enough(found, limit, asked)) is not None:
                return seen
            asked = min(asked * 4, _FOUND_MAX)

    def summary(self, ref: GraphRef, interrupt: Interrupt) -> Summary:
        """Every fact is counted: it takes longer than the engine's, which estimates."""
        nodes, edges = _Counts(), _Counts()
        for node in self._all_nodes(ref, interrupt):
            if self._sees(node):
                nodes.add(node.label, node.props)
        for edge in self._all_edges(ref, interrupt):
            edges.add(edge.type, edge.props)
        return Summary(nodes.most, edges.most)

    def counts(self, ref: GraphRef, interrupt: Interrupt) -> tuple[int, int]:
        """Return how many nodes and edges are seen."""
        nodes = sum(1 for node in self._all_nodes(ref, interrupt) if self._sees(node))
        return nodes, sum(1 for _ in self._all_edges(ref, interrupt))

    def sees_all(self, ref: GraphRef, known_version: int | None, interrupt: Interrupt) -> int | None:
        """Return a version of the graph, as it was before anything was looked at, if every node is seen; None: one is
        not. known_version: in which every node was seen: while that is the graph's, nothing is looked at.
        """
        version = self._graph.stats().version
        if version == known_version or all(self._sees(node) for node in self._all_nodes(ref, interrupt)):
            return version
        return None

    def _sees(self, node: Node) -> bool:
        return sees(self._asker, node.props)

    def _enough(self, found: list[Hit], limit: int, asked: int) -> list[Hit] | None:
        """Return the hits that are seen; None when there may be more, and not enough are seen yet."""
        seen = [hit for hit in found if self._sees(hit.node)]
        is_all = len(found) < asked or asked >= max(limit, _FOUND_MAX)
        return seen[:limit] if len(seen) >= limit or is_all else None

    def _seen_edges(self, ref: GraphRef, edges: Sequence[Edge]) -> list[Edge]:
        ends = list(dict.fromkeys(end for edge in edges for end in (edge.src, edge.dst)))
        seen: set[str] = set()
        for start in range(0, len(ends), _AT_ONCE):
            found = self._graph.get_nodes(ref, ends[start : start + _AT_ONCE])
            seen.update(node.id for node in found if node is not None and self._sees(node))
        return [edge for edge in edges if edge.src in seen and edge.dst in seen]

    def _all_nodes(self, ref: GraphRef, interrupt: Interrupt) -> Iterator[Node]:
        """Yield every node, seen or not."""
        after = ""
        while page := self._graph.scan(ref, "", after, _AT_ONCE, interrupt):
            yield from page
            after = page[-1].id

    def _all_edges(self, ref: GraphRef, interrupt: Interrupt) -> Iterator[Edge]:
        """Yield every edge that is seen."""
        after = _FIRST
        while page := self.scan_edges(ref, after, _AT_ONCE, interrupt):
            yield from page
            after = page[-1][:3]


class _Counts:
    """How many facts have a label or type, and which props they have."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._props: dict[str, Counter[str]] = {}

    def add(self, label: str, props: bytes) -> None:
        self._totals[label] += 1
        self._props.setdefault(label, Counter()).update(key for key in _keys_of(props) if key != PROPERTY)

    @property
    def most(self) -> list[LabelCount]:
        return [
            LabelCount(label, total, self._props[label].most_common(_PROPS_MAX))
            for label, total in self._totals.most_common(_LABELS_MAX)
        ]
