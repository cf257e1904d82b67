"""Lines of an upload as operations on a graph: the one place that says what a line may be. Pure.

A line is one operation as JSON, in the shapes of argosy/graph/ops.py, or a document (argosy/ingest/documents.py). An
empty line does nothing. Every other line is refused, with a reason that says what is wrong with it; so are conditions
that cannot hold, later, by the graph's file.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.ops import Op, check_ops
from argosy.ingest.documents import Document, ReplaceDocument, replacement_of
from argosy.ingest.oversized import oversized

_PREFIX: Final = "ops[0]: "  # of what check_ops says: a line has one operation

_Line = Op | Document
_decode: Final[Callable[[bytes], _Line]] = msgspec.json.Decoder(_Line).decode


def op_of(line: bytes) -> Op | ReplaceDocument | None:
    """Return what a line does; None: nothing. Raises GraphInputError, and GraphTooLargeError for too much of something,
    with the reason.
    """
    if not line or line.isspace():
        return None
    if (too_long := oversized(line)) is not None:
        raise GraphTooLargeError(f"{too_long.size_bytes} bytes are too many for a line")
    try:
        op = _decode(line)
    except UnicodeDecodeError as error:
        raise GraphInputError(f"no valid UTF-8: {error.reason} at byte {error.start} of a text") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise GraphInputError(str(error)) from error
    try:
        if isinstance(op, Document):
            return replacement_of(op)
        check_ops([op])
    except GraphInputError as error:
        if not str(error).startswith(_PREFIX):
            raise
        raise type(error)(str(error).removeprefix(_PREFIX)) from error
    return op
