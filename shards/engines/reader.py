"""Reads of nodes and edges through one connection."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw
import msgspec

from argosy.errors import GraphDeadlineError, GraphTooLargeError
from argosy.graph.facts import NO_SOURCE, Edge, Node, Source
from argosy.shards.engine import Interrupt
from argosy.statements import load_statements

SQL: Final = load_statements("argosy.shards.engines", "read")
# Instructions of SQLite between two looks at whether to stop: a fraction of a millisecond.
_STEPS: Final = 2_000

# Of what one read holds in memory at once: few rows of 1 MiB, or very many small ones.
SIZE_BYTES_MAX: Final = 67_108_864

_encode: Final = msgspec.json.Encoder().encode


def node_of(row: Sequence[Any]) -> Node:
    """Return the node of a row with the columns id, label, props, version, turn_id, step_key."""
    return Node(row[0], row[1], row[2], row[3], Source(row[4], row[5]) if row[4] or row[5] else NO_SOURCE)


def edge_of(row: Sequence[Any]) -> Edge:
    return Edge(row[0], row[1], row[2], row[3], row[4], Source(row[5], row[6]) if row[5] or row[6] else NO_SOURCE)


@contextmanager
def interruptible(connection: apsw.Connection, interrupt: Interrupt) -> Iterator[None]:
    """Stop statements of the block when they have to: apsw.InterruptError, which `told` makes a GraphDeadlineError."""
    if interrupt():
        raise GraphDeadlineError("the read was stopped before it began")
    connection.set_progress_handler(interrupt, _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None)


def within_size(
    rows: Iterable[Sequence[Any]], props: int = 2, size_bytes_max: int | None = None
) -> Iterator[Sequence[Any]]:
    """Yield rows. Raises GraphTooLargeError when their props, in this column, are too much for one read.

    size_bytes_max: None: SIZE_BYTES_MAX.
    """
    bound = SIZE_BYTES_MAX if size_bytes_max is None else size_bytes_max
    size_bytes = 0
    for row in rows:
        size_bytes += len(row[props])
        if size_bytes > bound:
            raise GraphTooLargeError(f"a read has at most {bound} bytes of props: ask for less at a time")
        yield row


def json_of(names: Sequence[str]) -> str:
    """Return names as a statement takes them."""
    return _encode(names).decode()


def get_nodes(connection: apsw.Connection, ids: Sequence[str], size_bytes_max: int | None = None) -> list[Node | None]:
    """Return the nodes in the order of ids, None for those that are not there.

    size_bytes_max: of the props of several. Raises GraphTooLargeError.
    """
    if len(ids) == 1:
        row = connection.execute(SQL["get_node"], ids).fetchone()
        return [row and node_of(row)]
    found: list[Node | None] = [None] * len(ids)
    for row in within_size(nodes_in(connection, ids), size_bytes_max=size_bytes_max):
        found[row[6]] = node_of(row)
    return found


def nodes_in(connection: apsw.Connection, ids: Sequence[str]) -> Iterable[Sequence[Any]]:
    """Return the rows of those nodes that are there, each read when it is asked for, with its place among the ids."""
    return connection.execute(SQL["get_nodes"], (json_of(ids),))


def scan(connection: apsw.Connection, label: str, after: str, limit: int) -> list[Node]:
    if label:
        return _nodes(connection.execute(SQL["scan_label"], (label, after, limit)))
    return _nodes(connection.execute(SQL["scan_nodes"], (after, limit)))


def scan_edges(connection: apsw.Connection, after: tuple[str, str, str], limit: int) -> list[Edge]:
    return [edge_of(row) for row in within_size(connection.execute(SQL["scan_edges"], (*after, limit)), props=3)]


def _nodes(rows: Iterable[Sequence[Any]]) -> list[Node]:
    return [node_of(row) for row in within_size(rows)]
