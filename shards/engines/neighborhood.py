"""The nodes around some nodes, by breadth first search over the edges of a file."""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw

from argosy.errors import GraphDeadlineError
from argosy.graph.acl import sees
from argosy.graph.asker import Asker
from argosy.graph.facts import Direction, Edge, Neighborhood, Node
from argosy.shards.engine import Interrupt
from argosy.shards.engines.reader import SIZE_BYTES_MAX, SQL, edge_of, get_nodes, json_of, node_of, nodes_in

# Edges that are given for each node that may be: nodes may be joined by many edges of many types.
_EDGES_PER_NODE: Final = 16
_NODES_AT_ONCE: Final = 32  # that are looked up with one statement
_LOOK_SIZE_BYTES: Final = 1_048_576  # between two looks at whether to stop: SQLite looks by steps, whatever a row has
_OUT: Final = (Direction.OUT, Direction.BOTH)
_IN: Final = (Direction.IN, Direction.BOTH)
_SRC, _DST = 0, 2


class Walk:
    """One search. It ends at `limit` nodes, or when it holds SIZE_BYTES_MAX, and is cut then.

    Edges are those that it went along: of the nodes that are nearer than the depth, and between nodes that are given.
    asker: who sees not all nodes; None: they do.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        types: Sequence[str],
        direction: Direction,
        limit: int,
        interrupt: Interrupt,
        asker: Asker | None = None,
    ) -> None:
        self._connection = connection
        self._asker = asker
        self._seen: dict[str, bool] = {}  # whether the asker sees a node; of nodes that they do not count anywhere
        self._interrupt = interrupt
        self._look_at_bytes = _LOOK_SIZE_BYTES
        self._types = (json_of(list(dict.fromkeys(types))),) if types else ()
        of_types = "_of_types" if types else ""
        # Statements, and the columns with the ids at the other ends.
        self._along = [
            *([(SQL[f"edges_out{of_types}"], _DST)] if direction in _OUT else []),
            *([(SQL[f"edges_in{of_types}"], _SRC)] if direction in _IN else []),
        ]
        self._limit = limit
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str], Edge] = {}
        self._size_bytes = 0
        self._is_cut = False

    def go(self, ids: Sequence[str], depth: int) -> Neighborhood:
        frontier = self._take(list(dict.fromkeys(ids)))
        for _ in range(depth):
            if not frontier or self._is_cut:
                break
            frontier = self._take(self._step(frontier))
        edges = [edge for edge in self._edges.values() if edge.src in self._nodes and edge.dst in self._nodes]
        return Neighborhood(list(self._nodes.values()), edges, self._is_cut)

    def _take(self, ids: list[str]) -> list[str]:
        """Take in those nodes that are there, as many as may be, and return their ids."""
        taken: list[str] = []
        for start in range(0, len(ids), _NODES_AT_ONCE):
            for node in map(node_of, nodes_in(self._connection, ids[start : start + _NODES_AT_ONCE])):
                if self._asker is not None and not sees(self._asker, node.props):
                    continue
                if len(self._nodes) == self._limit or not self._has_room(node):
                    self._is_cut = True
                    return taken
                self._nodes[node.id] = node
                taken.append(node.id)
        return taken

    def _step(self, frontier: list[str]) -> list[str]:
        """Go along the edges of some nodes. Return the ids at their other ends that are new, a few too many at most."""
        room = self._limit - len(self._nodes)
        found: dict[str, None] = {}
        for edge, far in self._edges_of(frontier):
            if far not in self._nodes:
                if not self._is_seen(far):
                    continue
                found[far] = None
            is_full = len(found) > room or len(self._edges) >= self._limit * _EDGES_PER_NODE
            if is_full or not self._has_room(edge):
                self._is_cut = True
                break
            self._edges[edge[:3]] = edge
        return list(found)

    def _is_seen(self, node_id: str) -> bool:
        """Whether a node is there for whoever asks: what lies behind one that is not, is not found through it."""
        if self._asker is None:
            return True
        if (known := self._seen.get(node_id)) is None:
            (node,) = get_nodes(self._connection, [node_id])
            known = self._seen[node_id] = node is not None and sees(self._asker, node.props)
        return known

    def _has_room(self, fact: Node | Edge) -> bool:
        self._size_bytes += len(fact.props)
        if self._size_bytes >= self._look_at_bytes:
            self._look_at_bytes = self._size_bytes + _LOOK_SIZE_BYTES
            if self._interrupt():
                raise GraphDeadlineError("the neighbourhood could not be read before the deadline")
        return self._size_bytes <= SIZE_BYTES_MAX

    def _edges_of(self, frontier: list[str]) -> Iterator[tuple[Edge, str]]:
        """Yield edges of these nodes that it has not gone along, with the ids at their other ends."""
        asked = (json_of(frontier), *self._types)
        for statement, far in self._along:
            for row in self._connection.execute(statement, asked):
                if row[:3] not in self._edges:
                    yield edge_of(row), row[far]
