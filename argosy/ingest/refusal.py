"""What stands in a sequence of lines for a record of which no line could be made. Pure.

It says why, so that the graph's file counts and keeps the reject in the transaction of the lines around it. It begins
with a NUL, as no line of JSON does.
"""

from typing import Final, NamedTuple

import msgspec

from argosy.ingest.oversized import START_SIZE_BYTES_MAX

_PREFIX: Final = b"\0refused "


class Refusal(NamedTuple):
    """Why there is no line. start: the first bytes of the record."""

    code: str
    reason: str
    start: bytes


_decode: Final = msgspec.json.Decoder(Refusal).decode


def refusal_marker(code: str, reason: str, record: bytes) -> bytes:
    """Return what stands for a record; it has no line end."""
    printable = reason.encode(errors="replace").decode()
    return _PREFIX + msgspec.json.encode(Refusal(code, printable, record[:START_SIZE_BYTES_MAX]))


def refusal_of(line: bytes) -> Refusal | None:
    """Return what a marker says; None for every other line."""
    if not line.startswith(_PREFIX):
        return None
    try:
        return _decode(line[len(_PREFIX) :])
    except msgspec.DecodeError:  # somebody wrote the line himself
        return None
