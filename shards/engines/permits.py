"""What somebody may write, by the access control lists of nodes: argosy/graph/acl.py."""

from collections.abc import Iterator
from typing import Final

import apsw

from argosy.errors import GraphForbiddenError, GraphInputError
from argosy.graph.acl import PROPERTY, has_list, may_write
from argosy.graph.asker import Asker
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, UpsertEdge, UpsertNode
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "batch")


class Permits:
    """Of one asker, for a batch on its way into the file: each operation is looked at before it is done."""

    def __init__(self, connection: apsw.Connection, asker: Asker) -> None:
        self._connection = connection
        self._asker = asker

    def check(self, op: Op) -> None:
        """Raise GraphForbiddenError unless the asker may write the node that an operation is about, or both nodes of
        its edge. Of a node that is not there the operation itself says so.

        A node that has a list does not lose it unnoticed: who sets all of its props says what becomes of the list, or
        GraphInputError is raised.
        """
        for node_id in _nodes_of(op):
            props = self._props(node_id)
            if props is None:
                continue
            if not may_write(self._asker, props):
                raise GraphForbiddenError(f"node {node_id!r} is not there to be written by who asks: it has a list")
            if isinstance(op, UpsertNode) and PROPERTY not in op.props and has_list(props):
                raise GraphInputError(f"node {node_id!r} has a list: give {PROPERTY} again, or null to remove it")

    def _props(self, node_id: str) -> bytes | None:
        row = self._connection.execute(_SQL["find_node"], (node_id,)).fetchone()
        return None if row is None else row[2]


def _nodes_of(op: Op) -> Iterator[str]:
    """Yield the ids of the nodes that must be the asker's to write."""
    match op:
        case UpsertNode() | DeleteNode():
            yield op.id
        case UpsertEdge() | DeleteEdge():
            yield from (op.src, op.dst)
        case MergeProps():
            yield from (op.src or "", op.dst or "") if op.id is None else (op.id,)
