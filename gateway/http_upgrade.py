"""Requests that ask for another protocol, read as HTTP/1.1: a gateway speaks no other (RFC 9110, 7.8).

httptools takes all bytes after the head of such a request for the other protocol. But Java's own HTTP client asks for
h2c with the first request of every connection, whatever its method, and sends the body in HTTP/1.1.
"""

from typing import Any, Final

import httptools

_FRAMING: Final = (b"content-length", b"transfer-encoding")


def reread(protocol: Any, headers: list[tuple[bytes, bytes]]) -> tuple[httptools.HttpRequestParser, bytes]:
    """Return a parser for what follows a head with these fields, and a head to feed it first.

    The protocol gets no callbacks for that first head.
    """
    parser = httptools.HttpRequestParser(_BehindHead(protocol))
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets its own parser
    framing = b"".join(name + b": " + value + b"\r\n" for name, value in headers if name in _FRAMING)
    return parser, b"POST / HTTP/1.1\r\n" + framing + b"\r\n"


class _BehindHead:
    """Passes the parser's callbacks on to a protocol, except those for the head that the parser is fed first."""

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
