"""Says which labels, types of edges and properties a graph has come to have, and how many of each.

The work is bounded, whatever the graph holds:
- Labels are counted in their index: some 30 ms for a million nodes. The LABELS_MAX most frequent ones are said.
- Types are counted among the first EDGES_COUNTED_MAX edges. In a graph with more, their counts are estimates.
- Properties are counted among the first NODES_SAMPLED_MAX nodes of each label and the first EDGES_SAMPLED_MAX edges.
  Of what there is more, their counts are estimates: the same share of all.
"""

from typing import Any, Final

import apsw

from argosy.graph.facts import LabelCount, Summary
from argosy.statements import load_statements

LABELS_MAX: Final = 100  # and types of edges
PROPS_MAX: Final = 50  # of each
NODES_SAMPLED_MAX: Final = 500  # of each label
EDGES_SAMPLED_MAX: Final = 10_000
EDGES_COUNTED_MAX: Final = 200_000
_SQL: Final = load_statements("argosy.shards.engines", "summary")


def summarize(connection: apsw.Connection) -> Summary:
    """Return the summary of a graph. connection: in a snapshot."""
    return Summary(_nodes(connection), _edges(connection))


def _nodes(connection: apsw.Connection) -> list[LabelCount]:
    found = []
    for label, total in _rows(connection, "count_labels", LABELS_MAX):
        props = _rows(connection, "count_node_props", label, NODES_SAMPLED_MAX, PROPS_MAX)
        sampled = min(total, NODES_SAMPLED_MAX)
        found.append(LabelCount(label, total, [(key, _share(total, count, sampled)) for key, count in props]))
    return found


def _edges(connection: apsw.Connection) -> list[LabelCount]:
    ((edge_count,),) = _rows(connection, "count_edges")
    counted = min(edge_count, EDGES_COUNTED_MAX)
    totals = {
        kind: _share(edge_count, count, counted)
        for kind, count in _rows(connection, "count_types", EDGES_COUNTED_MAX, LABELS_MAX)
    }
    rows = _rows(connection, "count_edge_props", EDGES_SAMPLED_MAX)
    sampled = {kind: count for kind, key, count in rows if key is None}
    props: dict[str, list[tuple[str, int]]] = {kind: [] for kind in totals}
    for kind, key, count in rows:
        if key is not None and kind in props and len(props[kind]) < PROPS_MAX:
            props[kind].append((key, _share(totals[kind], count, sampled[kind])))
    return [LabelCount(kind, total, props[kind]) for kind, total in totals.items()]


def _share(total: int, count: int, sampled: int) -> int:
    """Return how many of all are like `count` of those that were looked at; at least one."""
    return max(1, round(total * count / sampled))


def _rows(connection: apsw.Connection, statement: str, *values: Any) -> list[Any]:
    return connection.execute(_SQL[statement], values).fetchall()
