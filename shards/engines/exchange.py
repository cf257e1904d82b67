"""A graph as lines of JSON: what `export` gives and `restore` takes.

    {"kind": "graph", "format": 1, "tenant": "acme", "graph": "people", …}
    {"kind": "node", "id": "ada", "label": "Person", "props": {"born": 1815}, "version": 1, …}
    {"kind": "edge", "src": "ada", "type": "KNOWS", "dst": "bob", "props": {}, "version": 1, …}
    {"kind": "applied", "key": "…", …}
    {"kind": "token", "session_id": "…", …}
    {"kind": "feed", "feed": "…", "next": 7, …}
    {"kind": "refused", "feed": "…", "line": 3, …}
    {"kind": "end", "nodes": 2, "edges": 1, "applied": 1, "tokens": 1, "sha256": "…", "feeds": 1, "refused": 1}

The lines come in this order. Keys, tokens and feeds go along, so that a graph that is elsewhere now still applies a
batch once, fences the same writers, and does each line of a feed once. The digest is of all lines before the last one,
each with its line end.

A graph without feeds is written in format 1, which versions that know no feeds read.
"""

import uuid
from typing import Annotated, Final

import msgspec

from argosy.graph.acl import GraphAcl

FORMAT: Final = 2
FORMAT_WITHOUT_FEEDS: Final = 1
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class GraphLine(_Line, frozen=True, omit_defaults=True, tag="graph"):
    """The graph itself. version: of the last batch. forgotten_ms: see `Meta`; feeds_forgotten_ms: the same of feeds.
    acl: the graph's list: versions that know none refuse the copy, and so open it to nobody.
    """

    format: int
    tenant: str
    graph: str
    incarnation: uuid.UUID
    generation: _Count
    version: _Count
    forgotten_ms: _Count
    feeds_forgotten_ms: _Count = 0
    acl: GraphAcl | None = None


class NodeLine(_Line, frozen=True, omit_defaults=True, tag="node"):
    id: str
    label: str
    version: _Count
    props: msgspec.Raw  # a JSON object
    turn_id: str = ""
    step_key: str = ""
    vectors: dict[str, list[float]] = {}


class EdgeLine(_Line, frozen=True, omit_defaults=True, tag="edge"):
    src: str
    type: str
    dst: str
    version: _Count
    props: msgspec.Raw  # a JSON object
    turn_id: str = ""
    step_key: str = ""


class AppliedLine(_Line, frozen=True, tag="applied"):
    """A key, and what its batch came to. digest: in hexadecimal."""

    key: str
    digest: str
    version: _Count
    failed: _Int
    reason: str
    made_at_ms: _Int


class TokenLine(_Line, frozen=True, tag="token"):
    session_id: uuid.UUID
    epoch: _Int
    place: _Int
    attempt: _Int
    used_at_ms: _Int


class FeedLine(_Line, frozen=True, tag="feed"):
    """A feed, as its table has it. chain: in hexadecimal."""

    feed: str
    next: _Count
    chain: str
    applied: _Count
    rejected: _Count
    made_at_ms: _Count
    used_at_ms: _Int


class RefusedFeedLine(_Line, frozen=True, tag="refused"):
    """A line of a feed that could not be done. start: in Base64."""

    feed: str
    line: _Count
    code: str
    reason: str
    start: bytes


class EndLine(_Line, frozen=True, omit_defaults=True, tag="end"):
    """How many lines there are of each kind, and the digest."""

    nodes: int
    edges: int
    applied: int
    tokens: int
    sha256: str
    feeds: int = 0
    refused: int = 0


ExportLine = GraphLine | NodeLine | EdgeLine | AppliedLine | TokenLine | FeedLine | RefusedFeedLine | EndLine

encode_line: Final = msgspec.json.Encoder().encode
decode_line: Final = msgspec.json.Decoder(ExportLine).decode
