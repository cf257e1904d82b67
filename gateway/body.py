"""What clients send after the head of a request: its body, and that they are gone.

Bodies are read in chunks and never beyond their bound, whatever Content-Length says or does not say.
"""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from argosy.gateway.problems import Problem

JSON: Final = ("application/json",)


async def read(request: Request, size_bytes_max: int, timeout_s: float, media_types: tuple[str, ...] = JSON) -> bytes:
    """Return the whole body. Raises: Problem, ClientDisconnect.

    media_types: what Content-Type may be, besides application/…+json; a missing Content-Type is believed to be right.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise Problem("unsupported_media_type", f"Content-Encoding is {encoding[:80]!r}, send the body as it is")
    content_type = request.headers.get("content-type")
    if content_type is not None and not _is_one_of(content_type, media_types):
        raise Problem("unsupported_media_type", f"Content-Type is {content_type[:80]!r}, send {media_types[0]}")
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > size_bytes_max:
        raise _too_large(size_bytes_max)
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    first: bytes = message.get("body", b"")
    if len(first) > size_bytes_max:
        raise _too_large(size_bytes_max)
    return await _rest(request, first, size_bytes_max, timeout_s) if message.get("more_body") else first


async def until_gone(receive: Receive) -> None:
    """Return when the client has closed its connection; drop what it still sends."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _rest(request: Request, first: bytes, size_bytes_max: int, timeout_s: float) -> bytes:
    body = bytearray(first)
    more = True
    try:
        async with asyncio.timeout(timeout_s):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > size_bytes_max:
                    raise _too_large(size_bytes_max)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Problem("request_timeout", f"the body did not arrive within {timeout_s:g} s") from None
    return bytes(body)


def _is_one_of(content_type: str, media_types: tuple[str, ...]) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in media_types or (media_type.startswith("application/") and media_type.endswith("+json"))


def _too_large(size_bytes_max: int) -> Problem:
    return Problem("payload_too_large", f"the body is larger than {size_bytes_max} bytes")
