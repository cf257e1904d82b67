"""The body of an upload, as it comes: inflated, in blocks of bounded size, and never ahead of who reads them.

What ends it early: the client is gone (ClientDisconnect), says nothing for INGEST_SILENT_S, sends more than
INGEST_UPLOAD_SIZE_BYTES_MAX, or what is no gzip although it says so.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from starlette.requests import ClientDisconnect, Request

from argosy.config import Settings
from argosy.gateway.problems import Problem
from argosy.ingest.inflate import Inflater

BLOCK_SIZE_BYTES_MAX: Final = 32_768  # some 330 lines, half a millisecond of work
_PLAIN: Final = "identity"
_GZIP: Final = "gzip"


def is_gzip(request: Request) -> bool:
    """Return whether the body is sent as gzip. Raises Problem when it is sent as something else than that or plain."""
    encoding = request.headers.get("content-encoding", _PLAIN).strip().lower()
    if encoding not in (_PLAIN, _GZIP):
        raise Problem(
            "unsupported_media_type", f"Content-Encoding is {encoding[:80]!r}, send gzip or the body as it is"
        )
    return encoding == _GZIP


async def blocks(request: Request, settings: Settings, size_bytes_max: int) -> AsyncIterator[bytes]:
    """Yield the body. size_bytes_max: of all blocks. Raises: Problem, GzipError, ClientDisconnect."""
    inflater = Inflater(settings.ingest_gzip_ratio_max) if is_gzip(request) else None
    left_bytes = size_bytes_max
    async for sent in _sent(request, settings.ingest_silent_s):
        for block in _plain(sent) if inflater is None else inflater.feed(sent):
            left_bytes -= len(block)
            if left_bytes < 0:
                raise Problem("payload_too_large", f"the upload has more than {size_bytes_max} bytes")
            yield block
    if inflater is not None:
        inflater.finish()


async def _sent(request: Request, silent_s: float) -> AsyncIterator[bytes]:
    is_more = True
    while is_more:
        try:
            async with asyncio.timeout(silent_s):
                message = await request.receive()
        except TimeoutError:
            raise Problem("request_timeout", f"nothing more of the upload came within {silent_s:g} s") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        is_more = message.get("more_body", False)
        if body := message.get("body", b""):
            yield body


def _plain(sent: bytes) -> Iterable[bytes]:
    if len(sent) <= BLOCK_SIZE_BYTES_MAX:
        return (sent,)
    return (sent[at : at + BLOCK_SIZE_BYTES_MAX] for at in range(0, len(sent), BLOCK_SIZE_BYTES_MAX))
