"""What a graph is, in a few lines: dicts that operations change as the rules of argosy/graph/ops.py have it."""

import copy
from dataclasses import dataclass, field
from typing import Any

from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op, Props, UpsertEdge, UpsertNode

EdgeKey = tuple[str, str, str]


class Refused(Exception):  # noqa: N818 (an outcome, no error)
    pass


@dataclass
class Thing:
    """A node or an edge. label: of an edge its type."""

    label: str
    props: Props
    version: int


@dataclass
class GraphModel:
    nodes: dict[str, Thing] = field(default_factory=dict)
    edges: dict[EdgeKey, Thing] = field(default_factory=dict)
    version: int = 0

    def after(self, ops: list[Op]) -> tuple["GraphModel", int]:
        """Return the graph after a batch, and the index of the operation that refuses it; -1: none."""
        new = copy.deepcopy(self)
        new.version += 1
        for index, op in enumerate(ops):
            try:
                new.change(op)
            except Refused:
                return self, index
        return new, -1

    def change(self, op: Op) -> None:
        things: dict[Any, Thing] = self.nodes if isinstance(op, UpsertNode | DeleteNode) else self.edges
        if isinstance(op, MergeProps) and op.id is not None:
            things = self.nodes
        key: Any = getattr(op, "id", None) or (op.src, op.type, op.dst)  # type: ignore[union-attr]
        there = things.get(key)
        if op.if_version is not None and (there is None or there.version != op.if_version):
            raise Refused
        match op:
            case UpsertNode() | UpsertEdge():
                label = op.label if isinstance(op, UpsertNode) else op.type
                if op.if_absent and there is not None:
                    raise Refused
                if isinstance(op, UpsertEdge) and not {op.src, op.dst} <= self.nodes.keys():
                    raise Refused
                things[key] = Thing(label, op.props, self.version)
            case MergeProps():
                if there is None:
                    raise Refused
                kept = {**there.props, **op.props}
                removed = {name for name, value in op.props.items() if value is None}
                there.props = {name: value for name, value in kept.items() if name not in removed}
                there.version = self.version
            case DeleteNode():
                things.pop(key, None)
                self.edges = {each: edge for each, edge in self.edges.items() if key not in (each[0], each[2])}
            case DeleteEdge():
                things.pop(key, None)
