"""What a shard and the child process of a view say to each other: four bytes of size, then MessagePack.

The shard writes requests and the child does them in order, but for queries: a query sees all that was asked for before
it, and is answered when it is done. Each request has one answer, with its number.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from argosy.graph.ops import Op

NodeRow = tuple[str, str, bytes]  # id, label, props
EdgeRow = tuple[str, str, str, bytes]  # src, type, dst, props


class _Frame(msgspec.Struct, frozen=True, tag=True):
    number: int


class Load(_Frame, frozen=True):
    """Take in nodes, then edges between nodes that are there."""

    nodes: list[NodeRow]
    edges: list[EdgeRow]


class Apply(_Frame, frozen=True):
    ops: list[Op]


class Ask(_Frame, frozen=True):
    """Run a query, within timeout_ms."""

    cypher: str
    params: dict[str, Any]
    timeout_ms: int
    row_limit: int
    size_bytes_max: int


class Done(_Frame, frozen=True):
    memory_bytes: int


class Answered(_Frame, frozen=True):
    memory_bytes: int
    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool


class Failed(_Frame, frozen=True):
    """A request failed. fault: "cypher", "deadline" or "size". line, column: from 1; 0: not known."""

    fault: str
    message: str
    line: int = 0
    column: int = 0


Request = Load | Apply | Ask
Reply = Done | Answered | Failed

NO_MEMORY: Final = 3  # how a child exits that Python gave no memory
HEAD: Final = struct.Struct(">I")

encode: Final = msgspec.msgpack.Encoder().encode
decode_request: Final[Callable[[bytes], Request]] = msgspec.msgpack.Decoder(Request).decode
decode_reply: Final[Callable[[bytes], Reply]] = msgspec.msgpack.Decoder(Reply).decode


def framed(frame: Request | Reply) -> bytes:
    body = encode(frame)
    return HEAD.pack(len(body)) + body
