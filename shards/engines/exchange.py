"""A graph as lines of JSON: what `export` gives and `restore` takes.

    {"kind": "graph", "format": 1, "tenant": "acme", "graph": "people", …}
    {"kind": "node", "id": "ada", "label": "Person", "props": {"born": 1815}, "version": 1, …}
    {"kind": "edge", "src": "ada", "type": "KNOWS", "dst": "bob", "props": {}, "version": 1, …}
    {"kind": "applied", "key": "…", …}
    {"kind": "token", "session_id": "…", …}
    {"kind": "end", "nodes": 2, "edges": 1, "applied": 1, "tokens": 1, "sha256": "…"}

The lines come in this order. Keys and tokens go along, so that a graph that is elsewhere now still applies a batch once
and fences the same writers. The digest is of all lines before the last one, each with its line end.
"""

import uuid
from typing import Annotated, Final

import msgspec

FORMAT: Final = 1
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class GraphLine(_Line, frozen=True, tag="graph"):
    """The graph itself. version: of the last batch. forgotten_ms: see `Meta`."""

    format: int
    tenant: str
    graph: str
    incarnation: uuid.UUID
    generation: _Count
    version: _Count
    forgotten_ms: _Count


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


class EndLine(_Line, frozen=True, tag="end"):
    """How many lines there are of each kind, and the digest."""

    nodes: int
    edges: int
    applied: int
    tokens: int
    sha256: str


ExportLine = GraphLine | NodeLine | EdgeLine | AppliedLine | TokenLine | EndLine

encode_line: Final = msgspec.json.Encoder().encode
decode_line: Final = msgspec.json.Decoder(ExportLine).decode
