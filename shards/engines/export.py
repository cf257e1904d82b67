"""Gives a graph as lines: see exchange.py."""

import hashlib
import struct
import uuid
from collections.abc import Iterator
from typing import Any, Final

import apsw
import msgspec

from argosy.shards.engines.exchange import (
    FORMAT,
    AppliedLine,
    EdgeLine,
    EndLine,
    ExportLine,
    GraphLine,
    NodeLine,
    TokenLine,
    encode_line,
)
from argosy.shards.engines.meta import Meta
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "exchange")


def export(connection: apsw.Connection) -> Iterator[bytes]:
    """Yield the lines of a graph, each with its line end. connection: in a snapshot."""
    digest = hashlib.sha256()
    counts = dict.fromkeys((GraphLine, NodeLine, EdgeLine, AppliedLine, TokenLine), 0)
    for line in _lines(connection):
        counts[type(line)] += 1
        text = encode_line(line) + b"\n"
        digest.update(text)
        yield text
    end = EndLine(counts[NodeLine], counts[EdgeLine], counts[AppliedLine], counts[TokenLine], digest.hexdigest())
    yield encode_line(end) + b"\n"


def _lines(connection: apsw.Connection) -> Iterator[ExportLine]:
    meta = Meta.read(connection)
    yield GraphLine(FORMAT, meta.tenant, meta.graph, meta.incarnation, meta.generation, meta.version, meta.forgotten_ms)
    for number, *node in connection.execute(_SQL["all_nodes"]):
        yield _node(node, dict(connection.execute(_SQL["vectors_of"], (number,))))
    for row in connection.execute(_SQL["all_edges"]):
        src, kind, dst, props, version, turn_id, step_key = row
        yield EdgeLine(src, kind, dst, version, msgspec.Raw(props), turn_id, step_key)
    for key, ops_digest, *answer in connection.execute(_SQL["all_applied"]):
        yield AppliedLine(key, ops_digest.hex(), *answer)
    for session_id, *token in connection.execute(_SQL["all_tokens"]):
        yield TokenLine(uuid.UUID(bytes=session_id), *token)


def _node(row: list[Any], vectors: dict[str, bytes]) -> NodeLine:
    node_id, label, props, version, turn_id, step_key = row
    numbers = {name: list(struct.unpack(f"<{len(each) // 4}f", each)) for name, each in vectors.items()}
    return NodeLine(node_id, label, version, msgspec.Raw(props), turn_id, step_key, numbers)
