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
    FORMAT_WITHOUT_FEEDS,
    AppliedLine,
    EdgeLine,
    EndLine,
    ExportLine,
    FeedLine,
    GraphLine,
    NodeLine,
    RefusedFeedLine,
    TokenLine,
    encode_line,
)
from argosy.shards.engines.feeds import forgotten_ms, has_feeds
from argosy.shards.engines.kept_acl import read_acl
from argosy.shards.engines.meta import Meta
from argosy.statements import load_statements

_SQL: Final = load_statements("argosy.shards.engines", "exchange")
_FEEDS: Final = load_statements("argosy.shards.engines", "feeds")


def export(connection: apsw.Connection) -> Iterator[bytes]:
    """Yield the lines of a graph, each with its line end. connection: in a snapshot."""
    digest = hashlib.sha256()
    counts: dict[type[ExportLine], int] = dict.fromkeys((NodeLine, EdgeLine, AppliedLine, TokenLine), 0)
    counts |= dict.fromkeys((GraphLine, FeedLine, RefusedFeedLine), 0)
    for line in _lines(connection):
        counts[type(line)] += 1
        text = encode_line(line) + b"\n"
        digest.update(text)
        yield text
    facts = (counts[NodeLine], counts[EdgeLine], counts[AppliedLine], counts[TokenLine])
    end = EndLine(*facts, digest.hexdigest(), counts[FeedLine], counts[RefusedFeedLine])
    yield encode_line(end) + b"\n"


def _lines(connection: apsw.Connection) -> Iterator[ExportLine]:
    meta = Meta.read(connection)
    is_fed = has_feeds(connection)
    yield GraphLine(
        FORMAT if is_fed else FORMAT_WITHOUT_FEEDS,
        meta.tenant,
        meta.graph,
        meta.incarnation,
        meta.generation,
        meta.version,
        meta.forgotten_ms,
        forgotten_ms(connection) if is_fed else 0,
        read_acl(connection),
    )
    for number, *node in connection.execute(_SQL["all_nodes"]):
        yield _node(node, dict(connection.execute(_SQL["vectors_of"], (number,))))
    for row in connection.execute(_SQL["all_edges"]):
        src, kind, dst, props, version, turn_id, step_key = row
        yield EdgeLine(src, kind, dst, version, msgspec.Raw(props), turn_id, step_key)
    for key, ops_digest, *answer in connection.execute(_SQL["all_applied"]):
        yield AppliedLine(key, ops_digest.hex(), *answer)
    for session_id, *token in connection.execute(_SQL["all_tokens"]):
        yield TokenLine(uuid.UUID(bytes=session_id), *token)
    if is_fed:
        for feed, number, chain, *rest in connection.execute(_FEEDS["all_feeds"]):
            yield FeedLine(feed, number, chain.hex(), *rest)
        for row in connection.execute(_FEEDS["all_refused"]):
            yield RefusedFeedLine(*row)


def _node(row: list[Any], vectors: dict[str, bytes]) -> NodeLine:
    node_id, label, props, version, turn_id, step_key = row
    numbers = {name: list(struct.unpack(f"<{len(each) // 4}f", each)) for name, each in vectors.items()}
    return NodeLine(node_id, label, version, msgspec.Raw(props), turn_id, step_key, numbers)
