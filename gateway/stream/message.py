"""The messages of a stream, as JSON. Pure.

Every message has `turn_id, seq, attempt, type, at, data`; a durable event has its `key`, too. `data` holds:

| type          | data                                                                                         |
|---------------|----------------------------------------------------------------------------------------------|
| turn.*, step.*, wait.*, value.* | as argosy/turn/events.py says, without what is private                     |
| frame         | {"attempt", "n", "step", "channel", "offset", "text"}, or "json" or "patch" in place of it   |
| channel.reset | {"attempt", "n", "step", "channel"}: the channel is empty again                              |
| gap           | {"attempt", "n", "step", "channel"}: frames were left out; the whole value comes next, at offset 0 |
| resync        | {"from_seq"}: the database lost the events after it: forget them                             |
| snapshot      | {"turn": as GET shows it}: older events are kept no longer                                   |

offset is in characters. A frame with n 0 has no number: it completes the value that the durable event after it holds.
It has the id of the message before it, as a channel.reset and a gap may: an id says up to where a client has the
stream, and does not name a message.

In NDJSON, blanks before an object are heartbeats.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """One message of a stream. data: a JSON object.

    id: the Last-Event-ID with which a client goes on after this message; empty while none with an id was sent.
    """

    type: str
    id: str
    data: bytes


class _Body(msgspec.Struct):
    turn_id: str
    seq: int
    attempt: int
    type: str
    key: str | msgspec.UnsetType
    at: datetime | None
    data: msgspec.Raw


class _Frame(msgspec.Struct, omit_defaults=True):
    attempt: int
    n: int
    step: str
    channel: str
    offset: int | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    patch: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Part(NamedTuple):
    """What a frame adds to a channel: at the most one of text, json and patch."""

    offset: int = 0
    text: str | None = None
    json: bytes | None = None
    patch: bytes | None = None


def moment(at_us: int) -> datetime:
    """Return the time of at_us, microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at_us)


def make_message(
    message_type: str,
    message_id: str,
    turn_id: str,
    seq: int,
    attempt: int,
    at: datetime | None,
    data: bytes,
    key: str | msgspec.UnsetType = msgspec.UNSET,
) -> Message:
    """Return a message of any type. data: JSON. key: of a durable event."""
    body = _encode(_Body(turn_id, seq, attempt, message_type, key, at, msgspec.Raw(data)))
    return Message(message_type, message_id, body)


def frame_data(attempt: int, n: int, step: str, channel: str, part: Part) -> bytes:
    """Return the data of a frame, or with an empty part the data of a channel.reset or a gap."""
    frame = _Frame(attempt, n, step, channel)
    if part.text is not None:
        frame.offset, frame.text = part.offset, part.text
    elif part.json is not None:
        frame.offset, frame.json = part.offset, msgspec.Raw(part.json)
    elif part.patch is not None:
        frame.offset, frame.patch = part.offset, msgspec.Raw(part.patch)
    return _encode(frame)


def resync_data(from_seq: int) -> bytes:
    return b'{"from_seq":%d}' % from_seq
