"""The chain of a sequence of lines: a digest of all lines up to one, 16 bytes. Pure.

It is made line by line (1 µs each), so it is the same however an upload was cut into records, and whichever gateway cut
it. Two sequences that have the same chain at a line are the same up to there, and one that differs anywhere differs in
every chain behind.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

SIZE_BYTES: Final = 16
EMPTY: Final = bytes(SIZE_BYTES)  # before the first line


def chain(before: bytes, line: bytes) -> bytes:
    """Return the chain at a line. before: the chain at the line before it."""
    return blake2b(before + line, digest_size=SIZE_BYTES).digest()


def chain_of(before: bytes, lines: Iterable[bytes]) -> bytes:
    """Return the chain at the last of consecutive lines; `before` when there is none."""
    for line in lines:
        before = blake2b(before + line, digest_size=SIZE_BYTES).digest()
    return before
