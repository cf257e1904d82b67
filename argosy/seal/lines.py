"""The lines in a record of ingest: sealed when it is made, and opened by the worker that sends them to the graph.

They stand sealed in the log alone. In the graph they are in the clear, and so is what a graph refused of them
(`ingest_rejects`); the chains of a job are digests of its lines.
"""

import uuid
from typing import Any

from msgspec.structs import astuple

from argosy.ingest.record import LinesRecord, SealedLines, fault_of_lines
from argosy.seal.codec import Codec
from argosy.seal.errors import PayloadUnreadableError
from argosy.seal.places import lines_of


async def sealed_lines(codec: Codec, record: LinesRecord) -> LinesRecord:
    """Return a record as it is to be appended. Raises StoreUnavailableError."""
    sealer = (await codec.sealers((record.tenant,))).get(record.tenant)
    return record if sealer is None else SealedLines(*_fields(record, sealer.seal(record.lines, _place_of(record))))


async def opened_lines(codec: Codec, record: SealedLines) -> LinesRecord:
    """Return a record with its lines as they were. Raises PayloadUnreadableError, StoreUnavailableError."""
    opener = await codec.opener(((record.tenant, record.lines),))
    opened = LinesRecord(*_fields(record, opener.open(record.tenant, record.lines, _place_of(record))))
    if fault := fault_of_lines(opened.lines, opened.line_count):
        raise PayloadUnreadableError(f"the sealed record of lines is not what it says: {fault}")
    return opened


def _place_of(record: LinesRecord) -> bytes:
    return lines_of(record.tenant, uuid.UUID(bytes=record.job_id), record.first_line)


def _fields(record: LinesRecord, lines: bytes) -> tuple[Any, ...]:
    return (*astuple(record)[:-1], lines)
