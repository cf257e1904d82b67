"""Messages as bytes on the wire: Server-Sent Events and NDJSON. Pure.

Every message's data is JSON, in which a raw line break can only stand between tokens: a blank means the same there, and
tears no message apart.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from argosy.gateway.watch.message import Message

_LINE_BREAKS: Final = bytes.maketrans(b"\n\r", b"  ")
# What a browser waits before it connects again, when the connection breaks.
RETRY_MS: Final = 1_000


class Format(NamedTuple):
    """hello: the first bytes. heartbeat: what says that the stream lives. farewell(retry_ms): the last words when the
    server drains.
    """

    media_type: str
    encode: Callable[[Iterable[Message]], bytes]
    hello: bytes
    heartbeat: bytes
    farewell: Callable[[int], bytes]


def event_stream(messages: Iterable[Message]) -> bytes:
    """Server-Sent Events."""
    return b"".join(
        b"event: %b\n%bdata: %b\n\n"
        % (each.type.encode(), b"id: %b\n" % each.id.encode() if each.id else b"", _one_line(each.data))
        for each in messages
    )


def lines(messages: Iterable[Message]) -> bytes:
    """NDJSON: the same members, and the id. A heartbeat is a blank before the next object: no empty lines."""
    return b"".join(
        b'{"id":"%b",%b\n' % (each.id.encode(), _one_line(each.data)[1:]) if each.id else _one_line(each.data) + b"\n"
        for each in messages
    )


def _one_line(data: bytes) -> bytes:
    return data.translate(_LINE_BREAKS) if b"\n" in data or b"\r" in data else data


SSE: Final = Format(
    "text/event-stream",
    event_stream,
    b"retry: %d\n\n" % RETRY_MS,
    b": still here\n\n",
    lambda retry_ms: b"retry: %d\n\n" % retry_ms,
)
NDJSON: Final = Format("application/x-ndjson", lines, b"", b" ", lambda _: b"")


def format_of(accept: str) -> Format | None:
    """What a client asks for in Accept; None: neither of them, or JSON rather."""
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
