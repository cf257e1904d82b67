"""One graph in kglite's memory: taking it in, keeping it current, and a look at it that cannot write.

kglite has rules that a graph of ours has not, and they are hidden here: an id is unique per label there and per
graph here, so a node that changes its label is made anew with its edges; a node's label has to be known to find it
fast; and a pattern with a property that no node of a label ever had is an error there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import kglite
import msgspec

from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, Props, UpsertEdge, UpsertNode
from argosy.shards.views.frames import EdgeRow, NodeRow
from argosy.shards.views.mapping import hidden, node_props

_ROWS_MAX: Final = 2_000  # in one statement: 1.3 times as fast as 500, and as 10,000
_WAITING_MAX: Final = 50_000  # edges that wait for more of their kind, while a graph is loaded

_LOAD_NODES: Final = "UNWIND $rows AS row CREATE (n:$label) SET n = row"
_LOAD_EDGES: Final = """UNWIND $rows AS row MATCH (a:$src {id: row.src}), (b:$dst {id: row.dst})
CREATE (a)-[r:$type]->(b) SET r = row.props"""
_PUT_NODES: Final = "UNWIND $rows AS row MERGE (n:$label {id: row.id}) SET n = row"
_PUT_EDGES: Final = """UNWIND $rows AS row MATCH (a:$src {id: row.src}), (b:$dst {id: row.dst})
MERGE (a)-[r:$type]->(b) SET r = row.props"""
_MERGE_NODE: Final = "MATCH (n:$label {id: $id}) SET n += $props"
_MERGE_EDGE: Final = "MATCH (:$src_label {id: $src})-[r:$type]->(:$dst_label {id: $dst}) SET r += $props"
_DELETE_NODE: Final = "MATCH (n:$label {id: $id}) DETACH DELETE n"
_DELETE_EDGE: Final = "MATCH (:$src_label {id: $src})-[r:$type]->(:$dst_label {id: $dst}) DELETE r"
_EDGES_OUT: Final = "MATCH (n:$label {id: $id})-[r]->(m) RETURN m.id, type(r), r"
_EDGES_IN: Final = "MATCH (n:$label {id: $id})<-[r]-(m) WHERE m.id <> $id RETURN m.id, type(r), r"
# A property is known of a label once a node had it, if only as null.
_KNOW_PROPERTY: Final = "CREATE (n:$label) SET n = $props DELETE n"

_props_of: Final = msgspec.json.Decoder(Props).decode

NodeFact = tuple[str, str, Props]  # id, label, props
EdgeKind = tuple[str, str, str]  # the label of src, the type, the label of dst
EdgeFact = tuple[str, str, str, Props]  # src, type, dst, props as kglite has them


class Contents:
    """One graph, as kglite has it. Used on one thread at a time; what `look` returns, on any."""

    def __init__(self) -> None:
        graph = kglite.KnowledgeGraph()
        graph.set_auto_vacuum(None)  # it would number nodes anew under a query that runs
        self._session = graph.session()
        self._labels: dict[str, str] = {}
        self.known_labels: set[str] = set()
        self._waiting: defaultdict[EdgeKind, list[Props]] = defaultdict(list)
        self._waiting_count = 0

    def look(self) -> kglite.KnowledgeGraph:
        """Return the graph as it is now; later changes are not seen in what is returned."""
        self._settle()
        graph = self._session.cursor()
        graph.read_only(True)
        return graph

    def load(self, nodes: Iterable[NodeRow], edges: Iterable[EdgeRow]) -> None:
        """Take in nodes and edges that are new; an edge that lacks a node is left out."""
        by_label: defaultdict[str, list[Props]] = defaultdict(list)
        for node_id, label, props in nodes:
            self._labels[node_id] = label
            by_label[label].append(node_props(_props_of(props)) | {"id": node_id})
        self.known_labels.update(by_label)
        for label, rows in by_label.items():
            self._run(_LOAD_NODES, label=label, rows=rows)
        for src, kind, dst, props in edges:
            if src in self._labels and dst in self._labels:
                row = {"src": src, "dst": dst, "props": hidden(_props_of(props))}
                self._waiting[self._labels[src], kind, self._labels[dst]].append(row)
                self._waiting_count += 1
        if self._waiting_count > _WAITING_MAX:
            self._settle()

    def _settle(self) -> None:
        """Take in the edges that wait: those of one kind cost less together."""
        if self._waiting_count:
            self._run_for_kinds(_LOAD_EDGES, self._waiting)
            self._waiting.clear()
            self._waiting_count = 0

    def apply(self, ops: Sequence[Op]) -> None:
        """Apply operations in order. One that was applied before changes nothing, one that lacks a node is left out."""
        self._settle()
        for kind, run in groupby(ops, type):
            if kind is UpsertNode:
                self._put_nodes((op.id, op.label, op.props) for op in run if isinstance(op, UpsertNode))
            elif kind is UpsertEdge:
                self._put_edges((op.src, op.type, op.dst, hidden(op.props)) for op in run if isinstance(op, UpsertEdge))
            else:
                for op in run:
                    self._apply_one(op)

    def know_property(self, label: str, key: str) -> None:
        """Make a pattern with this property match nothing, where it would be an error."""
        self._run(_KNOW_PROPERTY, label=label, props={"id": "", key: None})

    def _run(self, statement: str, **params: Any) -> Any:
        return self._session.execute(statement, params=params, timeout_ms=0)

    def _put_nodes(self, nodes: Iterable[NodeFact]) -> None:
        last = {node_id: (label, props) for node_id, label, props in nodes}
        by_label: defaultdict[str, list[Props]] = defaultdict(list)
        kept: list[EdgeFact] = []
        for node_id, (label, props) in last.items():
            if self._labels.get(node_id, label) != label:
                kept += self._take_out(node_id)
            self._labels[node_id] = label
            by_label[label].append(node_props(props) | {"id": node_id})
        self.known_labels.update(by_label)
        for label, rows in by_label.items():
            for start in range(0, len(rows), _ROWS_MAX):
                self._run(_PUT_NODES, label=label, rows=rows[start : start + _ROWS_MAX])
        self._put_edges(kept)

    def _take_out(self, node_id: str) -> list[EdgeFact]:
        """Delete a node that gets another label, and return its edges."""
        label = self._labels[node_id]
        out = self._run(_EDGES_OUT, label=label, id=node_id).to_list()
        into = self._run(_EDGES_IN, label=label, id=node_id).to_list()
        self._run(_DELETE_NODE, label=label, id=node_id)
        return [(node_id, row["type(r)"], row["m.id"], row["r"]["properties"]) for row in out] + [
            (row["m.id"], row["type(r)"], node_id, row["r"]["properties"]) for row in into
        ]

    def _put_edges(self, edges: Iterable[EdgeFact]) -> None:
        last = {(src, kind, dst): props for src, kind, dst, props in edges}
        kinds: defaultdict[EdgeKind, list[Props]] = defaultdict(list)
        for (src, kind, dst), props in last.items():
            if src in self._labels and dst in self._labels:
                kinds[self._labels[src], kind, self._labels[dst]].append({"src": src, "dst": dst, "props": props})
        self._run_for_kinds(_PUT_EDGES, kinds)

    def _run_for_kinds(self, statement: str, kinds: Mapping[EdgeKind, list[Props]]) -> None:
        for (src, kind, dst), rows in kinds.items():
            for start in range(0, len(rows), _ROWS_MAX):
                self._run(statement, src=src, type=kind, dst=dst, rows=rows[start : start + _ROWS_MAX])

    def _apply_one(self, op: Op) -> None:
        match op:
            case DeleteNode():
                if (label := self._labels.pop(op.id, None)) is not None:
                    self._run(_DELETE_NODE, label=label, id=op.id)
            case DeleteEdge():
                self._on_edge(_DELETE_EDGE, op.src, op.type, op.dst)
            case MergeProps(id=str(node_id)):
                if (label := self._labels.get(node_id)) is not None:
                    self._run(_MERGE_NODE, label=label, id=node_id, props=node_props(op.props))
            case MergeProps(src=str(src), type=str(kind), dst=str(dst)):
                self._on_edge(_MERGE_EDGE, src, kind, dst, props=hidden(op.props))

    def _on_edge(self, statement: str, src: str, kind: str, dst: str, **params: Any) -> None:
        if src in self._labels and dst in self._labels:
            labels = {"src_label": self._labels[src], "dst_label": self._labels[dst]}
            self._run(statement, src=src, type=kind, dst=dst, **labels, **params)
