"""What a mapping makes of records: lines of a feed, and markers for those of which it made none."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from argosy.graph.ops import OPS_MAX
from argosy.ingest.oversized import marker_of
from argosy.ingest.refusal import refusal_marker
from argosy.log import Record
from argosy.workflow.mapping import Mapping, TopicRecord

_REASON_LENGTH_MAX: Final = 300  # of what a mapping raises, which may quote the record

Line = tuple[int, bytes]  # with its number

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def number_of(offset: int) -> int:
    """Return the number that a record's line has in its feed: lines are numbered from 1."""
    return offset + 1


def lines_of(
    mapping: Mapping, topic: str, partition: int, records: Sequence[Record], size_bytes_max: int
) -> list[Line]:
    """Return the lines of those records that have one. Runs code of the user. size_bytes_max: of a line."""
    lines = []
    for record in records:
        seen = TopicRecord(
            topic, partition, record.position, record.timestamp_ms, record.key, record.value, record.headers
        )
        line = _line_of(mapping, seen)
        if line is not None and len(line) > size_bytes_max:
            line = marker_of(len(line), bytes(16), line)
        if line is not None:
            lines.append((number_of(record.position), line))
    return lines


def _line_of(mapping: Mapping, record: TopicRecord) -> bytes | None:
    content = record.value if record.value is not None else record.key or b""
    try:
        key = None if record.key is None else record.key.decode()
    except UnicodeDecodeError:
        return refusal_marker("invalid_key", "its key is no text in UTF-8", record.key or b"")
    try:
        value = None if record.value is None else _decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return refusal_marker("not_json", str(error), content)
    try:
        made = _operations(mapping(key, value, record))
    except BaseException as error:  # the edge of user code, in a thread
        words = f"{type(error).__name__}: {error}"
        return refusal_marker("mapping_failed", words[:_REASON_LENGTH_MAX], content)
    if made is None:
        return refusal_marker("unmapped", "the mapping returned neither operations nor None", content)
    if not made:
        return None
    try:
        return _encode(made[0] if len(made) == 1 else {"op": "together", "ops": made})
    except (TypeError, ValueError, RecursionError) as error:
        return refusal_marker("unmapped", f"what the mapping returned is no JSON: {error}", content)


def _operations(made: Any) -> list[dict[str, Any]] | None:
    """Return what a mapping returned as a list; None when it is nothing of the kind."""
    if made is None:
        return []
    if isinstance(made, dict):
        return [made]
    if not isinstance(made, Iterable) or isinstance(made, str | bytes):
        return None
    operations = list(islice(made, OPS_MAX + 1))  # one too many is refused as that
    return operations if all(isinstance(each, dict) for each in operations) else None
