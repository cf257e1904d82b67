"""Lines of an upload as operations on a graph: the one place that says what a line may be. Pure.

A line is one operation as JSON, in the shapes of argosy/graph/ops.py, a document (argosy/ingest/documents.py), or
several of these that are done together or not at all:

    {"op": "together", "ops": [{"op": "upsert_node", …}, {"op": "upsert_edge", …}]}

An empty line does nothing. Every other line is refused, with a reason that says what is wrong with it; so are
conditions that cannot hold, later, by the graph's file.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.ops import OPS_MAX, Op, check_ops
from argosy.ingest.documents import Document, ReplaceDocument, replacement_of
from argosy.ingest.oversized import oversized
from argosy.ingest.refusal import refusal_of

_PREFIX: Final = "ops[0]: "  # of what check_ops says: a line has one operation


class _Together(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="together"):
    ops: list[Op | Document]


class Together(NamedTuple):
    """What is done whole or not at all, in this order."""

    parts: tuple[Op | ReplaceDocument, ...]


_Line = Op | Document | _Together
_decode: Final[Callable[[bytes], _Line]] = msgspec.json.Decoder(_Line).decode


def op_of(line: bytes) -> Op | ReplaceDocument | Together | None:
    """Return what a line does; None: nothing. Raises GraphInputError, and GraphTooLargeError for too much of something,
    with the reason.
    """
    if not line or line.isspace():
        return None
    if line.startswith(b"\0"):
        _raise_marked(line)
    try:
        op = _decode(line)
    except UnicodeDecodeError as error:
        raise GraphInputError(f"no valid UTF-8: {error.reason} at byte {error.start} of a text") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise GraphInputError(str(error)) from error
    try:
        return _together(op) if isinstance(op, _Together) else _checked(op)
    except GraphInputError as error:
        if isinstance(op, _Together) or not str(error).startswith(_PREFIX):
            raise
        raise type(error)(str(error).removeprefix(_PREFIX)) from error


def _checked(op: Op | Document) -> Op | ReplaceDocument:
    if isinstance(op, Document):
        return replacement_of(op)
    check_ops([op])
    return op


def _together(line: _Together) -> Together:
    if not 1 <= len(line.ops) <= OPS_MAX:
        error = GraphTooLargeError if line.ops else GraphInputError
        raise error(f"ops: 1 to {OPS_MAX} operations are done together, not {len(line.ops)}")
    parts: list[Op | ReplaceDocument] = []
    for index, op in enumerate(line.ops):
        try:
            parts.append(_checked(op))
        except GraphInputError as error:
            raise type(error)(f"ops[{index}]: {str(error).removeprefix(_PREFIX)}") from error
    return Together(tuple(parts))


def _raise_marked(line: bytes) -> None:
    """Raise the error of a line that stands for another one."""
    if (too_long := oversized(line)) is not None:
        raise GraphTooLargeError(f"{too_long.size_bytes} bytes are too many for a line")
    if (refusal := refusal_of(line)) is not None:
        raise GraphInputError(refusal.reason)
