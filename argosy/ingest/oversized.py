"""What stands in a sequence of lines for a line over the bound. Pure.

The line itself is nowhere kept: the marker has its size, its digest (so that the chain is one of the whole content) and
its start, which a reject shows. It begins with a NUL, as no line of JSON does: a line that somebody writes so is no
operation either, and is rejected all the same.
"""

from typing import Final, NamedTuple

START_SIZE_BYTES_MAX: Final = 200  # of a line, as a reject shows it

_PREFIX: Final = b"\0oversized "


class OversizedLine(NamedTuple):
    """What is known of a line over the bound."""

    size_bytes: int
    start: bytes


def marker_of(size_bytes: int, digest: bytes, start: bytes) -> bytes:
    """Return what stands for a line of this size. start: its first bytes; it has no line end."""
    return b"%b%d %b %b" % (_PREFIX, size_bytes, digest.hex().encode(), start[:START_SIZE_BYTES_MAX])


def oversized(line: bytes) -> OversizedLine | None:
    """Return what a marker says; None for every other line."""
    if not line.startswith(_PREFIX):
        return None
    size, _, rest = line[len(_PREFIX) :].partition(b" ")
    if not (size.isdigit() and len(size) <= 19):
        return None
    return OversizedLine(int(size), rest.partition(b" ")[2])
