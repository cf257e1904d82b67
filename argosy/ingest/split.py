"""Cuts what is uploaded into lines. Pure.

Rules:
- A line ends with `\\n` or `\\r\\n`, and the last one with the upload. Nothing behind the last line end is no line.
- Empty lines are lines: they count, and do nothing.
- A line with more bytes than the bound becomes a marker (oversized.py), whatever its size: it costs no memory.
- The mark with which some systems begin a text in UTF-8 is no part of the first line. One of UTF-16 or UTF-32 is an
  error at once. Bytes that are no UTF-8 within a line are that line's own fault, and found when it is read.
"""

from hashlib import blake2b
from typing import Final

from argosy.errors import UploadEncodingError
from argosy.ingest.oversized import START_SIZE_BYTES_MAX, marker_of

_BOM: Final = b"\xef\xbb\xbf"
_WIDE_BOMS: Final = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_BOM_SIZE_BYTES_MAX: Final = 4
# So many parts of a line are joined to one: an upload may come byte by byte, and each object costs 40 bytes.
_PARTS_MAX: Final = 1_024


class Splitter:
    """Cuts the blocks of one upload into lines. What it keeps has no more than one line and one block.

    is_begun: the upload goes on behind some line, so nothing of it is a mark of its encoding.
    """

    def __init__(self, line_size_bytes_max: int, *, is_begun: bool = False) -> None:
        self._size_bytes_max = line_size_bytes_max
        self._head: bytes | None = None if is_begun else b""
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._oversized: _Oversized | None = None

    def feed(self, block: bytes) -> list[bytes]:
        """Return the lines that end in this block. Raises UploadEncodingError."""
        if self._head is not None:
            self._head += block
            if len(self._head) < _BOM_SIZE_BYTES_MAX:
                return []
            block = self._begin()
        return self._cut(block)

    def finish(self) -> list[bytes]:
        """Return the last lines: what does not end with a line end is one, too. Raises UploadEncodingError."""
        lines = [] if self._head is None else self._cut(self._begin())
        return [*lines, self._line()] if self._size_bytes else lines

    def _cut(self, block: bytes) -> list[bytes]:
        first, *rest = block.split(b"\n")
        self._keep(first)
        if not rest:
            return []
        last = rest.pop()
        if b"\r" in block:
            rest = [_without_return(each) for each in rest]
        if len(block) > self._size_bytes_max:
            rest = [self._bounded(each) for each in rest]
        lines = [self._line(), *rest]
        self._keep(last)
        return lines

    def _begin(self) -> bytes:
        """Return the first bytes without a mark of their encoding."""
        head, self._head = self._head or b"", None
        for bom, encoding in _WIDE_BOMS.items():
            if head.startswith(bom):
                raise UploadEncodingError(f"the upload is {encoding}: send it as UTF-8")
        return head.removeprefix(_BOM)

    def _keep(self, part: bytes) -> None:
        """Keep a part of a line whose end is still to come."""
        if not part:
            return
        self._size_bytes += len(part)
        if self._oversized is not None:
            self._oversized.add(part)
            return
        self._parts.append(part)
        if self._size_bytes > self._size_bytes_max + 1:  # one may be the `\r` of its end
            self._oversized = _Oversized()
            for each in self._parts:
                self._oversized.add(each)
            self._parts.clear()
        elif len(self._parts) >= _PARTS_MAX:
            self._parts = [b"".join(self._parts)]

    def _line(self) -> bytes:
        """Return the line that is kept, which ends here."""
        if self._oversized is not None:
            line = self._oversized.marker()
        else:
            line = self._bounded(_without_return(b"".join(self._parts)))
        self._parts.clear()
        self._size_bytes = 0
        self._oversized = None
        return line

    def _bounded(self, line: bytes) -> bytes:
        if len(line) <= self._size_bytes_max:
            return line
        whole = _Oversized()
        whole.add(line)
        return whole.marker()


class _Oversized:
    """What is known of a line over the bound. Its last byte waits: a `\\r` there belongs to the line's end."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)
        self._start = b""
        self._last = b""
        self._size_bytes = 0

    def add(self, part: bytes) -> None:
        data = self._last + part
        self._take(data[:-1])
        self._last = data[-1:]

    def marker(self) -> bytes:
        if self._last != b"\r":
            self._take(self._last)
        return marker_of(self._size_bytes, self._digest.digest(), self._start)

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self._size_bytes += len(data)
        if len(self._start) < START_SIZE_BYTES_MAX:
            self._start += data[: START_SIZE_BYTES_MAX - len(self._start)]


def _without_return(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line
