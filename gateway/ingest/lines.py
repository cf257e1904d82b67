"""The lines of an upload, whatever it was sent as.

| Content-Type                               | what it is                                                            |
|--------------------------------------------|-----------------------------------------------------------------------|
| application/x-ndjson, …/ndjson, …/jsonl    | lines, streamed: of any size. So is an upload without a Content-Type   |
| application/json                           | a list of what would be lines, or {"ops": such a list}; read as a whole |
| text/plain, text/markdown                  | one document, whose id is the parameter `id`; read as a whole          |
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from enum import Enum
from typing import Final

import msgspec
from starlette.requests import Request

from argosy.config import Settings
from argosy.errors import UploadEncodingError
from argosy.gateway import json_value
from argosy.gateway.ingest.blocks import blocks
from argosy.gateway.ingest.uploads import Whole
from argosy.gateway.problems import Problem
from argosy.ingest.split import Splitter

NDJSON: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl")
TEXT: Final = ("text/plain", "text/markdown")
JSON: Final = "application/json"
# Memory, as estimated: of a byte of a list, and of what may be a member of it, behind a comma; of a byte of a text,
# which is decoded and encoded again.
_LIST_FACTOR: Final = 2
_MEMBER_BYTES: Final = 72
_TEXT_FACTOR: Final = 6
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")

Memory = AbstractContextManager[Whole]


class Shape(Enum):
    """What an upload is sent as."""

    LINES = "lines"
    LIST = "list"
    TEXT = "text"


class _Ops(msgspec.Struct, forbid_unknown_fields=True):
    ops: list[msgspec.Raw]


_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw] | _Ops)
_encode: Final = msgspec.json.Encoder().encode


def shape_of(request: Request) -> Shape:
    """Return what an upload is sent as. Raises Problem."""
    media_type = request.headers.get("content-type", NDJSON[0]).partition(";")[0].strip().lower()
    if media_type in NDJSON:
        return Shape.LINES
    if media_type == JSON:
        return Shape.LIST
    if media_type in TEXT:
        return Shape.TEXT
    known = ", ".join((NDJSON[0], JSON, TEXT[0]))
    raise Problem("unsupported_media_type", f"Content-Type is {media_type[:80]!r}, send one of {known}")


def lines(
    request: Request, settings: Settings, memory: Memory, shape: Shape, document_id: str | None, *, is_begun: bool
) -> AsyncGenerator[list[bytes]]:
    """Return the lines of an upload, some at a time. memory: of one that is read as a whole. is_begun: it goes on
    behind some line. Raises as `blocks` does.
    """
    if shape is Shape.LINES:
        return _streamed(request, settings, is_begun=is_begun)
    if shape is Shape.LIST:
        return _listed(request, settings, memory)
    return _document(request, settings, memory, document_id or "")


async def _streamed(request: Request, settings: Settings, *, is_begun: bool) -> AsyncGenerator[list[bytes]]:
    splitter = Splitter(settings.ingest_line_size_bytes_max, is_begun=is_begun)
    async for block in blocks(request, settings, settings.ingest_upload_size_bytes_max):
        yield splitter.feed(block)
    yield splitter.finish()


async def _listed(request: Request, settings: Settings, memory: Memory) -> AsyncGenerator[list[bytes]]:
    """Yield the members of a list, each on one line: a line break in JSON stands between its parts only."""
    with memory as whole:
        sent: list[bytes] = []
        async for block in blocks(request, settings, settings.batch_size_bytes_max):
            whole.take(_LIST_FACTOR * len(block) + _MEMBER_BYTES * block.count(b","))
            sent.append(block)
        found = json_value.decode(b"".join(sent), _decoder, "the body")
        del sent
        splitter = Splitter(settings.ingest_line_size_bytes_max)
        for raw in found.ops if isinstance(found, _Ops) else found:
            yield splitter.feed(bytes(raw).translate(_LINE_BREAKS) + b"\n")
        yield splitter.finish()


async def _document(
    request: Request, settings: Settings, memory: Memory, document_id: str
) -> AsyncGenerator[list[bytes]]:
    with memory as whole:
        sent: list[bytes] = []
        async for block in blocks(request, settings, settings.ingest_line_size_bytes_max):
            whole.take(_TEXT_FACTOR * len(block))
            sent.append(block)
        try:
            text = b"".join(sent).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UploadEncodingError(f"the text is not UTF-8: {error.reason} at byte {error.start}") from None
        line = _encode({"op": "document", "id": document_id, "text": text})
        if len(line) > settings.ingest_line_size_bytes_max:
            detail = (
                f"as a line the document has more than {settings.ingest_line_size_bytes_max} bytes: cut it into several"
            )
            raise Problem("payload_too_large", detail)
        yield [line]
