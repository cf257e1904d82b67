"""Where a sealed value belongs: the data that is authenticated with it. Pure.

Promise: what these functions return for the same arguments never changes, or what was sealed before does not open.

A signal is bound to its row and not to its turn: one that was sent to a duplicate before that was accepted becomes a
row of the turn that it is a duplicate of, under the same id.
"""

import struct
import uuid
from collections.abc import Sequence
from typing import Final

from argosy.ids import digest

_LENGTHS: Final = struct.Struct(">HHHQ")


def _place(tenant: str, row: uuid.UUID, what: bytes, key: str = "", seq: int = 0) -> bytes:
    named, keyed = tenant.encode(), key.encode()
    # Each length stands before its part, so that no part can be cut at another place.
    return _LENGTHS.pack(len(named), len(what), len(keyed), seq) + row.bytes + named + what + keyed


def input_of(tenant: str, turn_id: uuid.UUID) -> bytes:
    """Return the place of a turn's input: in its record, and in turns.input."""
    return _place(tenant, turn_id, b"turns.input")


def result_of(tenant: str, turn_id: uuid.UUID) -> bytes:
    """Return the place of turns.result."""
    return _place(tenant, turn_id, b"turns.result")


def error_of(tenant: str, turn_id: uuid.UUID) -> bytes:
    """Return the place of turns.error."""
    return _place(tenant, turn_id, b"turns.error")


def event_of(tenant: str, turn_id: uuid.UUID, seq: int) -> bytes:
    """Return the place of the data of a turn's event."""
    return _place(tenant, turn_id, b"events.data", "", seq)


def signal_of(tenant: str, inbox_id: uuid.UUID, name: str) -> bytes:
    """Return the place of a signal's payload, in `early` and in `inbox`."""
    return _place(tenant, inbox_id, b"inbox.signal", name)


def outcome_of(tenant: str, turn_id: uuid.UUID, key: str) -> bytes:
    """Return the place of what a step came to at a former owner of its turn, until the present one records it."""
    return _place(tenant, turn_id, b"inbox.step_result", key)


def prop_of(tenant: str, sealed_as: uuid.UUID, fact: Sequence[str], name: str) -> bytes:
    """Return the place of a prop of a sealed graph. sealed_as: the graph's; fact: the id of a node, or src, type and
    dst of an edge. Names of props may be long: they stand in a digest.
    """
    return _place(tenant, sealed_as, b"graphs.prop", digest(*fact, name, size_bytes=32).hex())


def lines_of(tenant: str, job_id: uuid.UUID, first_line: int) -> bytes:
    """Return the place of consecutive lines of a job of ingest, in their record."""
    return _place(tenant, job_id, b"ingest.lines", "", first_line)
