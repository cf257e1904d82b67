"""A request that asks for another protocol is read as what it is: HTTP/1.1 alone is spoken here (RFC 9110, 7.8).

httptools takes all that follows the head of such a request for the other protocol. But Java's own client asks for h2c
with the first request of every connection, whatever its method, and the body is in HTTP/1.1.
"""

from typing import Any, Final

import httptools

_FRAMING: Final = (b"content-length", b"transfer-encoding")


def reread(protocol: Any, headers: list[tuple[bytes, bytes]]) -> tuple[httptools.HttpRequestParser, bytes]:
    """Return a parser for what follows a head with these fields, and what it is given first, which it does not tell."""
    parser = httptools.HttpRequestParser(_BehindHead(protocol))
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's are
    framing = b"".join(name + b": " + value + b"\r\n" for name, value in headers if name in _FRAMING)
    return parser, b"POST / HTTP/1.1\r\n" + framing + b"\r\n"


class _BehindHead:
    """Tells a protocol all that a parser says, but for the head that the parser is given first."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._is_told_already = True
        self.on_body = protocol.on_body
        self.on_chunk_header = protocol.on_chunk_header
        self.on_message_complete = protocol.on_message_complete

    def on_message_begin(self) -> None:
        if not self._is_told_already:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_told_already:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_told_already:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._is_told_already:
            self._protocol.on_headers_complete()
        self._is_told_already = False
