"""Inflates what is uploaded as gzip, piece by piece. Pure.

A gzip may have several members, one behind the other. What is refused: what is no gzip, what ends within a member, what
does not have the checksum that it says, and a bomb: beyond the first 64 MiB nothing may be more than so many times as
large as it was sent. Text of JSON is 5 to 20 times as large; what gzip can do at the most is 1,032 times. Lines cost
more than bytes do, and 64 KB of gzip can have 64 million of them: so the end of each counts as 64 bytes.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from argosy.errors import GzipError

PIECE_SIZE_BYTES: Final = 65_536  # some 0.2 ms
# zlib copies what it did not use yet each time that it returns: the less is given to it, the less is copied.
_FED_SIZE_BYTES: Final = 16_384
_FREE_SIZE_BYTES: Final = 67_108_864
_LINE_END_SIZE_BYTES: Final = 64
_GZIP: Final = 16 + zlib.MAX_WBITS


class Inflater:
    """Inflates the blocks of one upload. ratio_max: see above."""

    def __init__(self, ratio_max: float) -> None:
        self._ratio_max = ratio_max
        self._member = zlib.decompressobj(_GZIP)
        self._has_begun = False  # the member has some of its bytes
        self._read_size_bytes = 0
        self._made_size_bytes = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what a block comes to, in pieces of PIECE_SIZE_BYTES at the most; some are empty. Raises GzipError."""
        for at in range(0, len(block), _FED_SIZE_BYTES):
            data = block[at : at + _FED_SIZE_BYTES]
            self._read_size_bytes += len(data)
            while data:
                yield self._inflate(data)
                data = self._member.unconsumed_tail
                if self._member.eof:
                    data = self._member.unused_data
                    self._member = zlib.decompressobj(_GZIP)
                    self._has_begun = False

    def finish(self) -> None:
        """Raise GzipError unless all members were whole, and there was one."""
        if self._has_begun or not self._read_size_bytes:
            raise GzipError("the gzip is cut off: its end is missing")

    def _inflate(self, data: bytes) -> bytes:
        self._has_begun = True
        try:
            made = self._member.decompress(data, PIECE_SIZE_BYTES)
        except zlib.error as error:
            raise GzipError(f"the body is no valid gzip: {error}") from None
        self._made_size_bytes += len(made) + (_LINE_END_SIZE_BYTES - 1) * made.count(b"\n")
        if self._made_size_bytes > max(_FREE_SIZE_BYTES, self._ratio_max * self._read_size_bytes):
            raise GzipError(f"the gzip becomes more than {self._ratio_max:g} times as large as it was sent")
        return made
