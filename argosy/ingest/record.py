"""The value of a record in the log of ingest: one byte with the version of the schema, then msgpack. Pure.

A record holds consecutive lines of one job, or says where a job's lines end. It names its job, graph and life in full,
so that the job's row can be made again from any of its records.

Sealed lines (argosy/seal/lines.py) have a version of their own: a worker that cannot open them must not take them for
broken ones.

Promise: every later version decodes what this version writes. A record of a newer version raises NewerRecordError.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from argosy.errors import NewerRecordError, RecordError

SCHEMA_VERSION: Final = 1
SEALED_VERSION: Final = 2
ID_SIZE_BYTES: Final = 16  # of a job's id, an incarnation and a chain
# Of what is written now: so many lines of nothing are as much work for a shard as a record of real ones.
RECORD_LINES_MAX: Final = 8_192


class LinesRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="lines"):
    """Consecutive lines of a job. made_at_ms: when the job was made, in Unix milliseconds. first_line: its number, from
    1 on. before: the chain at the line before the first. lines: without line ends, `\\n` between them.
    """

    job_id: bytes
    tenant: str
    graph: str
    incarnation: bytes
    made_at_ms: int
    first_line: int
    line_count: int
    before: bytes
    lines: bytes

    @property
    def end_line(self) -> int:
        """The number of the line behind the last one."""
        return self.first_line + self.line_count


class SealedLines(LinesRecord, array_like=True, frozen=True, gc=False, tag="lines"):
    """Consecutive lines of a job as they stand in the log when payloads are sealed. lines: sealed."""


class EndRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="end"):
    """The end of a job's lines: it has line_count, and this chain at the last one."""

    job_id: bytes
    tenant: str
    graph: str
    incarnation: bytes
    made_at_ms: int
    line_count: int
    chain: bytes


IngestRecord = LinesRecord | EndRecord

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(IngestRecord)
_sealed_decoder = msgspec.msgpack.Decoder(SealedLines)
_prefix, _sealed_prefix = bytes([SCHEMA_VERSION]), bytes([SEALED_VERSION])


def join_lines(lines: Sequence[bytes]) -> bytes:
    """Return lines, at least one, as `split_lines` reads them."""
    return b"\n".join(lines)


def split_lines(record: LinesRecord) -> list[bytes]:
    """Return the lines of a record, some of which may be empty."""
    return record.lines.split(b"\n")


def encode(record: IngestRecord) -> bytes:
    """Return the record's value."""
    return (_sealed_prefix if isinstance(record, SealedLines) else _prefix) + _encoder.encode(record)


def decode(value: bytes | None) -> IngestRecord:
    """Return what a record's value says. Raises RecordError (no worker can decode it), or its subclass NewerRecordError
    (a newer worker can).
    """
    if not value:
        raise RecordError("the record is empty")
    if value[0] > SEALED_VERSION:
        raise NewerRecordError(f"the record has schema version {value[0]}, this worker knows {SEALED_VERSION}")
    if value[0] < SCHEMA_VERSION:
        raise RecordError(f"the record has schema version {value[0]}, which never existed")
    decoder = _decoder if value[0] == SCHEMA_VERSION else _sealed_decoder
    try:
        record: IngestRecord = decoder.decode(memoryview(value)[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"the record cannot be decoded: {error}") from error
    if fault := _fault_of(record):
        raise RecordError(f"the record cannot be decoded: {fault}")
    return record


def _fault_of(record: IngestRecord) -> str:
    digest = record.before if isinstance(record, LinesRecord) else record.chain
    for name, value in (("job_id", record.job_id), ("incarnation", record.incarnation), ("chain", digest)):
        if len(value) != ID_SIZE_BYTES:
            return f"its {name} has {len(value)} bytes, not {ID_SIZE_BYTES}"
    if isinstance(record, EndRecord):
        return "" if record.line_count >= 0 else f"it ends at line {record.line_count}"
    if record.first_line < 1:
        return f"its first line is number {record.first_line}"
    return "" if isinstance(record, SealedLines) else fault_of_lines(record.lines, record.line_count)


def fault_of_lines(lines: bytes, line_count: int) -> str:
    """Return what is wrong with how many lines these are; empty when nothing is."""
    has = lines.count(b"\n") + 1
    return "" if has == line_count else f"it has {has} lines, and says {line_count}"
