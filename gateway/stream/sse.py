"""Messages as bytes on the wire: Server-Sent Events and NDJSON. Pure.

The data of a message is JSON, where a raw line break can stand between tokens only. A blank in its place means the
same, and does not tear the message apart.
"""

from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from argosy.gateway.problems import Problem
from argosy.gateway.stream.message import Message

_LINE_BREAKS: Final = bytes.maketrans(b"\n\r", b"  ")
_encode: Final = msgspec.json.Encoder().encode
# How long a browser waits before it connects again after its connection broke.
RETRY_MS: Final = 1_000


class Format(Protocol):
    """A format of streams. hello: the first bytes. heartbeat: bytes that show that the stream lives."""

    media_type: str
    hello: bytes
    heartbeat: bytes

    def encode(self, messages: Iterable[Message]) -> bytes:
        """Return messages as bytes."""

    def farewell(self, retry_ms: int) -> bytes:
        """Return the last bytes when the gateway drains. retry_ms: when the client may connect again."""

    def refusal(self, problem: Problem) -> bytes:
        """Return the last bytes when the client may not have more: its token is good no more."""


class ServerSentEvents:
    """Server-Sent Events. See Format."""

    media_type = "text/event-stream"
    hello = b"retry: %d\n\n" % RETRY_MS
    heartbeat = b": still here\n\n"

    def encode(self, messages: Iterable[Message]) -> bytes:
        return b"".join(
            b"event: %b\n%bdata: %b\n\n"
            % (each.type.encode(), b"id: %b\n" % each.id.encode() if each.id else b"", _one_line(each.data))
            for each in messages
        )

    def farewell(self, retry_ms: int) -> bytes:
        return b"retry: %d\n\n" % retry_ms

    def refusal(self, problem: Problem) -> bytes:
        return b"event: error\ndata: %b\n\n" % _encode(problem.body())


class Ndjson:
    """NDJSON: each line has the members of data, and the id. See Format.

    A heartbeat is a blank before the next object, so that there are no empty lines.
    """

    media_type = "application/x-ndjson"
    hello = b""
    heartbeat = b" "

    def encode(self, messages: Iterable[Message]) -> bytes:
        return b"".join(
            b'{"id":"%b",%b\n' % (each.id.encode(), _one_line(each.data)[1:])
            if each.id
            else _one_line(each.data) + b"\n"
            for each in messages
        )

    def farewell(self, retry_ms: int) -> bytes:
        """Return nothing: the format has no way to say when to connect again."""
        return b""

    def refusal(self, problem: Problem) -> bytes:
        return _encode({"type": "error", "data": problem.body()}) + b"\n"


def _one_line(data: bytes) -> bytes:
    return data.translate(_LINE_BREAKS) if b"\n" in data or b"\r" in data else data


SSE: Final[Format] = ServerSentEvents()
NDJSON: Final[Format] = Ndjson()


def format_of(accept: str) -> Format | None:
    """Return the format of a stream that a client asks for in Accept; None when it asks for none, or prefers JSON."""
    best: tuple[float, Format | None] = (0.0, None)
    for each in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in each.split(";"))
        weight = _weight(parameters)
        if media_type in _ASKED and weight > best[0]:
            best = (weight, _ASKED[media_type])
    return best[1]


def _weight(parameters: list[str]) -> float:
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


_ASKED: Final[dict[str, Format | None]] = {
    "text/event-stream": SSE,
    "application/x-ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "application/json": None,
}
