"""What one batch does to nodes and edges, operation by operation."""

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw
import msgspec

from argosy.errors import GraphInputError
from argosy.graph.facts import Source
from argosy.graph.ops import (
    PROPS_SIZE_BYTES_MAX,
    VECTORS_MAX,
    DeleteEdge,
    DeleteNode,
    MergeProps,
    Op,
    Props,
    UpsertEdge,
    UpsertNode,
    merged,
)
from argosy.shards.engines.derived import Content, Derived, NodeChange
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "batch")
# Of the edges of one node that is deleted, at a time; and of changes that are told at a time.
_AT_A_TIME: Final = 1_000

EdgeKey = tuple[str, str, str]  # src, type, dst

encode_props: Final = msgspec.json.Encoder().encode
_decode_props: Final = msgspec.json.Decoder(Props).decode


class RefusedError(Exception):
    """An operation's condition does not hold, or what it needs is not there. Its text says which."""


class Changes:
    """One batch on its way into the file. node_count, edge_count: how many more there are by it."""

    def __init__(self, connection: apsw.Connection, version: int, source: Source, derived: Sequence[Derived]) -> None:
        self._connection = connection
        self._stamp = (version, source.turn_id, source.step_key)
        self._derived = derived
        self._nodes: list[NodeChange] = []
        self.node_count = 0
        self.edge_count = 0

    def do(self, op: Op) -> None:
        """Do one operation. Raises RefusedError, and GraphInputError for what cannot be stored."""
        match op:
            case UpsertNode():
                self._upsert_node(op)
            case UpsertEdge():
                self._upsert_edge(op)
            case MergeProps():
                self._merge_props(op)
            case DeleteNode():
                self._delete_node(op)
            case DeleteEdge():
                self._delete_edge(op)

    def upsert_nodes(self, ops: Sequence[UpsertNode]) -> None:
        """Upsert nodes without conditions: as by `do`, in a fraction of its time where they are new."""
        rows = [(op.id, op.label, encode_props(op.props), *self._stamp) for op in ops]
        made = deque(self._connection.executemany(_SQL["insert_node"], rows))
        for op, row in zip(ops, rows, strict=True):
            if made and made[0][1] == op.id:
                self._note_new_node(made.popleft()[0], op, row[2])
            else:
                self._upsert_node(op)

    def upsert_edges(self, ops: Sequence[UpsertEdge]) -> None:
        """Upsert edges without conditions, whether their nodes are there or not, and without counting them."""
        rows = [(op.src, op.type, op.dst, encode_props(op.props), *self._stamp) for op in ops]
        self._connection.executemany(_SQL["upsert_edge"], rows)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Do several operations, or one that can fail half done, whole or not at all."""
        self.tell()  # what is derived of earlier changes is not to go with these
        counts = self.node_count, self.edge_count
        self._connection.execute("SAVEPOINT line")
        try:
            yield
            self.tell()
        except (RefusedError, GraphInputError):
            self._connection.execute("ROLLBACK TO line")
            self._connection.execute("RELEASE line")
            self._nodes = []
            self.node_count, self.edge_count = counts
            raise
        self._connection.execute("RELEASE line")

    def tell(self) -> None:
        """Tell what is derived of the changes that it was not told of yet."""
        if self._nodes:
            for each in self._derived:
                each.changed(self._connection, self._nodes)
            self._nodes = []

    def _upsert_node(self, op: UpsertNode) -> None:
        if op.if_version is not None:
            _check_version(self._one("find_node", op.id), op.if_version, f"node {op.id!r}")
        props = encode_props(op.props)
        made = self._one("insert_node", op.id, op.label, props, *self._stamp)
        if made is not None:
            self._note_new_node(made[0], op, props)
            return
        if op.if_absent:
            raise RefusedError(f"node {op.id!r} is there already")
        number, label, old, _ = self._found("find_node", op.id)
        self._run("update_node", op.label, props, *self._stamp, number)
        if op.keep_vectors:
            self._set_vectors(number, op.id, op.vectors or {})
        elif op.vectors is not None:
            self._run("delete_vectors", number)
            self._insert_vectors(number, op.vectors)
        self._note_node(NodeChange(number, op.id, Content(label, old), Content(op.label, props), op.vectors))

    def _upsert_edge(self, op: UpsertEdge) -> None:
        key = (op.src, op.type, op.dst)
        if op.if_version is not None:
            _check_version(self._one("find_edge", *key), op.if_version, named_edge(key))
        props = encode_props(op.props)
        if self._one("insert_edge", *key, props, *self._stamp) is not None:
            self.edge_count += 1
            return
        for end in (op.src, op.dst):
            if self._one("has_node", end) is None:
                raise RefusedError(f"{named_edge(key)} needs node {end!r}, which is not there")
        if op.if_absent:
            raise RefusedError(f"{named_edge(key)} is there already")
        self._run("update_edge", props, *self._stamp, *key)

    def _merge_props(self, op: MergeProps) -> None:
        if op.id is not None:
            number, label, old, _ = self._required(op, f"node {op.id!r}", "find_node", op.id)
            props = _merged(old, op, f"node {op.id!r}")
            self._run("update_node", label, props, *self._stamp, number)
            if op.vectors:
                self._set_vectors(number, op.id, op.vectors)
            self._note_node(NodeChange(number, op.id, Content(label, old), Content(label, props), op.vectors))
            return
        key = (op.src or "", op.type or "", op.dst or "")
        old, _ = self._required(op, named_edge(key), "find_edge", *key)
        props = _merged(old, op, named_edge(key))
        self._run("update_edge", props, *self._stamp, *key)

    def _delete_node(self, op: DeleteNode) -> None:
        row = self._one("find_node", op.id)
        _check_version(row, op.if_version, f"node {op.id!r}")
        if row is None:
            return
        self._delete_edges("edges_out", op.id)
        self._delete_edges("edges_in", op.id)
        self._run("delete_vectors", row[0])
        self._run("delete_node", row[0])
        self._note_node(NodeChange(row[0], op.id, Content(row[1], row[2]), None, None))

    def _delete_edge(self, op: DeleteEdge) -> None:
        key = (op.src, op.type, op.dst)
        row = self._one("find_edge", *key)
        _check_version(row, op.if_version, named_edge(key))
        if row is not None:
            self._run("delete_edge", *key)
            self.edge_count -= 1

    def _delete_edges(self, statement: str, node_id: str) -> None:
        """Delete the edges that begin or end at a node, of which there may be very many."""
        while rows := list(self._connection.execute(_SQL[statement], (node_id, _AT_A_TIME))):
            self._connection.executemany(_SQL["delete_edge"], rows)
            self.edge_count -= len(rows)

    def _note_new_node(self, number: int, op: UpsertNode, props: bytes) -> None:
        self._insert_vectors(number, op.vectors or {})
        self._note_node(NodeChange(number, op.id, None, Content(op.label, props), op.vectors))

    def _insert_vectors(self, number: int, vectors: dict[str, list[float]]) -> None:
        for name, numbers in vectors.items():
            self._run("insert_vector", number, name, float32(name, numbers))

    def _set_vectors(self, number: int, node_id: str, vectors: dict[str, list[float]]) -> None:
        """Set vectors of a node that is there; those of other names stay."""
        for name in vectors:
            self._run("delete_vector", number, name)
        self._insert_vectors(number, vectors)
        (count,) = self._found("count_vectors", number)
        if count > VECTORS_MAX:
            raise RefusedError(f"node {node_id!r} would have {count} vectors, {VECTORS_MAX} at the most")

    def _note_node(self, change: NodeChange) -> None:
        self.node_count += (change.after is not None) - (change.before is not None)
        self._nodes.append(change)
        if len(self._nodes) >= _AT_A_TIME:
            self.tell()

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        return self._connection.execute(_SQL[statement], values).fetchone()

    def _required(self, op: MergeProps, what: str, statement: str, *values: Any) -> tuple[Any, ...]:
        row = self._one(statement, *values)
        _check_version(row, op.if_version, what)
        if row is None:
            raise RefusedError(f"{what} is not there")
        return row

    def _found(self, statement: str, *values: Any) -> tuple[Any, ...]:
        """Return the row of what is there, since it is not new."""
        return next(self._connection.execute(_SQL[statement], values))

    def _run(self, statement: str, *values: Any) -> None:
        self._connection.execute(_SQL[statement], values)


def _check_version(row: tuple[Any, ...] | None, asked: int | None, what: str) -> None:
    """Check the version of what was found, which is its last column, if one is asked for."""
    if asked is None:
        return
    if row is None:
        raise RefusedError(f"{what} is not there, and was to have version {asked}")
    if row[-1] != asked:
        raise RefusedError(f"{what} has version {row[-1]}, not {asked}")


def _merged(old: bytes, op: MergeProps, what: str) -> bytes:
    props = encode_props(merged(_decode_props(old), op.props))
    if len(props) > PROPS_SIZE_BYTES_MAX:
        raise RefusedError(f"the props of {what} would have {len(props)} bytes, {PROPS_SIZE_BYTES_MAX} at the most")
    return props


def float32(name: str, numbers: Sequence[float]) -> bytes:
    """Return a vector as it is stored. Raises GraphInputError when one of its numbers is too large."""
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError as error:
        raise GraphInputError(f"vectors.{name} has a number that float32 cannot hold") from error


def named_edge(key: EdgeKey) -> str:
    """Return an edge as messages name it."""
    src, kind, dst = key
    return f"edge {src!r} -{kind}-> {dst!r}"
