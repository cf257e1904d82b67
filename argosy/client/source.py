"""What is uploaded: a file, bytes, or operations. It can be read as often as an upload has to begin again.

| it is                                     | it is sent as                                              |
|-------------------------------------------|------------------------------------------------------------|
| a file .ndjson, .jsonl, or of another name | lines, as they are                                         |
| any of these with .gz behind               | as it is, as gzip                                          |
| a file .json                              | a list of JSON, as it is                                    |
| a file .txt, .md                          | one document, whose id is the file's name as it was given   |
| bytes                                     | lines, as they are                                         |
| anything that yields operations or lines  | lines, from a temporary file                               |
"""

import gzip
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol, cast

import msgspec

from argosy.errors import CallerError
from argosy.ingest.chain import EMPTY, chain

NDJSON: Final = "application/x-ndjson"
_BLOCK_SIZE_BYTES: Final = 65_536
_UTF_8_MARK: Final = b"\xef\xbb\xbf"
_GZIP: Final = {"content-encoding": "gzip"}
_TEXT: Final = ("text/plain", "text/markdown")
_TYPES: Final = {".json": "application/json", ".txt": "text/plain", ".md": "text/markdown"}
_encode: Final = msgspec.json.Encoder().encode

Uploadable = str | Path | bytes | Iterable[Any]


class Place(NamedTuple):
    """A place in a source: behind how many lines and bytes, and the chain of these lines."""

    line: int
    offset: int
    chain: bytes


BEGIN: Final = Place(0, 0, EMPTY)


class Source(Protocol):
    """A source. headers, document_id: with which it is sent as a whole."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def document_id(self) -> str | None: ...

    @property
    def size_bytes(self) -> int:
        """How many bytes it has as it is sent."""
        ...

    def whole(self) -> IO[bytes]:
        """Open it as it is sent."""
        ...

    def lines(self) -> IO[bytes]:
        """Open its lines."""
        ...


class FileSource:
    """A file. name: what a document is called."""

    def __init__(self, path: Path, name: str) -> None:
        is_gzip = path.suffix == ".gz"
        media_type = _TYPES.get((path.with_suffix("") if is_gzip else path).suffix, NDJSON)
        self.headers: Mapping[str, str] = {"content-type": media_type} | (_GZIP if is_gzip else {})
        self.document_id = name if media_type in _TEXT else None
        self._path = path
        self._is_gzip = is_gzip

    @property
    def size_bytes(self) -> int:
        return self._path.stat().st_size

    def whole(self) -> IO[bytes]:
        return self._path.open("rb")

    def lines(self) -> IO[bytes]:
        return cast("IO[bytes]", gzip.open(self._path, "rb")) if self._is_gzip else self.whole()


class BytesSource:
    """Bytes in memory, as lines."""

    headers: Mapping[str, str] = {"content-type": NDJSON}
    document_id = None

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size_bytes(self) -> int:
        return len(self._content)

    def whole(self) -> IO[bytes]:
        return io.BytesIO(self._content)

    lines = whole


class SpooledSource(FileSource):
    """Operations (dicts, or lines as bytes) in a temporary file, which goes with this object."""

    def __init__(self, operations: Iterable[Any]) -> None:
        self._file = tempfile.NamedTemporaryFile(suffix=".ndjson")  # noqa: SIM115 (it is needed for longer than a block)
        for each in operations:
            self._file.write((each if isinstance(each, bytes) else _encode(each)).rstrip(b"\n") + b"\n")
        self._file.flush()
        super().__init__(Path(self._file.name), "")


def source_of(given: Uploadable) -> Source:
    """Return what was given as a source. Raises CallerError when it cannot be one, OSError."""
    if isinstance(given, bytes | bytearray):
        return BytesSource(bytes(given))
    if isinstance(given, str | Path):
        return FileSource(Path(given), str(given))
    if isinstance(given, Iterable) and not isinstance(given, Mapping):
        return SpooledSource(given)
    raise CallerError(f"{type(given).__name__} cannot be uploaded: give a path, bytes, or what yields operations")


def place_behind(source: Source, line: int | None) -> Place:
    """Return the place behind a line, or behind the last one (None); the end, when there are fewer. Raises OSError."""
    place = BEGIN
    with source.lines() as file:
        for raw in file:
            if place.line == line:
                break
            content = raw.removeprefix(_UTF_8_MARK) if place is BEGIN else raw
            content = content.removesuffix(b"\n").removesuffix(b"\r")
            place = Place(place.line + 1, place.offset + len(raw), chain(place.chain, content))
    return place


def blocks_of(source: Source, begin: Place) -> Iterator[bytes]:
    """Yield what is sent: the whole, or the lines from a place on."""
    with source.lines() if begin.line else source.whole() as file:
        file.seek(begin.offset)
        while block := file.read(_BLOCK_SIZE_BYTES):
            yield block
