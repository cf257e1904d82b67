"""What one client was sent of the channels of one turn, and so what it must get next. Pure.

Rules:
- A frame of a channel that is over, or of an earlier try, is not sent. Nor is a change that is part of an event which
  the client has (the event was read from Postgres, and the owner sent the change after that).
- What the client has is cut off: text goes on behind the last character that the client has.
- A new try is announced (channel.reset), whichever item shows it first.
- Before the durable event that holds the value of a channel, the client gets the rest of the text from that value. It
  gets the whole text anew where it has another one (a step's outcome may come from the attempt before, while this
  attempt runs the step, too). A channel that the step's outcome does not have is emptied.
- When a client came back with the id of a frame and was sent nothing since, how much it has is not known: it gets a
  gap, and the whole text.
"""

import zlib
from typing import Final, NamedTuple

import msgspec

from argosy.gateway.stream.message import Part
from argosy.turn.events import CHANNEL_HOLDERS, STEP_ENDS, Event, WireEvent

_CLOSED_MAX: Final = 256  # a frame that comes late is of a step that ended lately
_UNKNOWN: Final = -1


class ChannelItem(NamedTuple):
    """A frame, a reset or a gap from an owner. seq: of the durable event that it follows.

    checksum: CRC-32 of the channel's text before it.
    """

    type: WireEvent
    step: str
    tries: int
    channel: str
    part: Part
    seq: int = 0
    checksum: int = 0


class ChannelMessage(NamedTuple):
    """A message to a client about a channel."""

    type: WireEvent
    step: str
    channel: str
    part: Part = Part()


class _Channel:
    """A channel as the client has it. length: of its text; _UNKNOWN: some may be missing. checksum: of the text."""

    __slots__ = ("checksum", "length", "tries")

    def __init__(self, tries: int, length: int = 0, checksum: int = 0) -> None:
        self.tries = tries
        self.length = length
        self.checksum = checksum

    def empty(self) -> None:
        self.length = self.checksum = 0

    def append(self, text: str) -> None:
        """Add text that the client gets."""
        self.length += len(text)
        self.checksum = zlib.crc32(text.encode(), self.checksum)

    def is_begin_of(self, text: str) -> bool:
        """Whether the client's text is the beginning of this text."""
        return self.length <= len(text) and self.checksum == zlib.crc32(text[: self.length].encode())


class _Value(msgspec.Struct):
    text: str | None = None


class _Data(msgspec.Struct):
    channels: dict[str, _Value] = {}
    attempts: int = 0


_decode: Final = msgspec.json.Decoder(_Data).decode


class ChannelView:
    """What one client was sent of a turn's channels.

    resumed: the attempt of the frame with whose id the client came back; 0: it came with none. is_back: the client came
    back, with whatever id: it may have more of a channel than it was sent here.
    """

    __slots__ = ("_closed", "_is_back", "_open", "_recorded", "_resumed", "_tries_min")

    def __init__(self, resumed: int = 0, *, is_back: bool = False) -> None:
        self._resumed = resumed
        self._is_back = is_back
        self._open: dict[tuple[str, str], _Channel] = {}
        # The workflow's own channels: seq of the last event that holds their value.
        self._recorded: dict[str, int] = {}
        # The last _CLOSED_MAX steps that are over, and of steps that are tried again the least try that counts.
        self._closed: dict[str, None] = {}
        self._tries_min: dict[str, int] = {}

    def forget(self) -> None:
        """Forget everything: the client was told to throw everything away."""
        self._resumed, self._is_back = 0, False
        self._open.clear()
        self._recorded.clear()
        self._closed.clear()
        self._tries_min.clear()

    def receive(self, item: ChannelItem) -> list[ChannelMessage]:
        """Return the messages of an item of this attempt."""
        step, channel, tries = item.step, item.channel, item.tries
        known = self._open.get((step, channel))
        least = known.tries if known else self._tries_min.get(step, 0)
        if step in self._closed or tries < least:
            return []
        if not step and item.part.text is None and item.seq < self._recorded.get(channel, 0):
            return []  # text is cut by its length instead
        if item.type is WireEvent.CHANNEL_RESET:
            self._open[step, channel] = _Channel(tries)
            if known is not None and known.tries == tries and known.length == 0:
                return []  # the client has been told
            return [ChannelMessage(item.type, step, channel)]
        messages: list[ChannelMessage] = []
        if known is not None and tries > known.tries:
            known.tries = tries
            if known.length != 0:
                known.empty()
                messages.append(ChannelMessage(WireEvent.CHANNEL_RESET, step, channel))
        if known is None:
            # A client that came back with a frame's id gets exactly what follows that frame, or a gap first.
            known = self._open[step, channel] = _Channel(tries)
            if self._resumed:
                known.length, known.checksum = item.part.offset, item.checksum
            # The client's connection may have ended before the event of the retry, or between it and its reset.
            is_begin = not self._resumed or (item.part.text is not None and not item.part.offset)
            if self._is_back and is_begin and tries > 1 and item.type is WireEvent.FRAME:
                messages.append(ChannelMessage(WireEvent.CHANNEL_RESET, step, channel))
        if item.type is WireEvent.GAP:
            known.empty()
            return [*messages, ChannelMessage(item.type, step, channel)]
        part = _rest(known, item.part)
        return messages if part is None else [*messages, ChannelMessage(item.type, step, channel, part)]

    def before(self, event_type: str, key: str, data: bytes, attempt: int, seq: int) -> list[ChannelMessage]:
        """Return the messages to send before a durable event. data: as clients see it."""
        if event_type in STEP_ENDS:
            channels = _decode(data).channels if b'"channels"' in data else {}
            messages = self._complete(key, channels, attempt)
            return [*messages, *self._end(key, channels)]
        if event_type in CHANNEL_HOLDERS and b'"channels"' in data:
            channels = _decode(data).channels
            self._recorded.update(dict.fromkeys(channels, seq))
            return self._complete("", channels, attempt)
        if event_type == Event.STEP_RETRYING:
            self._tries_min[key] = _decode(data).attempts + 1
            _bound(self._tries_min)
        return []

    def after(self, event_type: str, key: str) -> list[ChannelMessage]:
        """Return the messages to send after a durable event."""
        if event_type == Event.TURN_RESET:
            self._resumed, self._is_back = 0, False
            self._open.clear()
            self._recorded.clear()
            self._tries_min.clear()
        elif event_type == Event.STEP_RETRYING:
            return self._empty(key)
        return []

    def _complete(self, step: str, channels: dict[str, _Value], attempt: int) -> list[ChannelMessage]:
        messages: list[ChannelMessage] = []
        for name, value in channels.items():
            known = self._open.get((step, name))
            if value.text is None:
                continue
            # Text that the workflow emitted before the event with whose id the client came back goes on after it.
            is_own_torn = self._is_back and not step
            if known is None and self._resumed != attempt and not is_own_torn:
                self._open[step, name] = _Channel(0)
                self._open[step, name].append(value.text)  # the event itself holds the value
                continue
            if known is None or known.length == _UNKNOWN:
                messages.append(ChannelMessage(WireEvent.GAP, step, name))
                messages.append(ChannelMessage(WireEvent.FRAME, step, name, Part(0, value.text)))
            elif not known.is_begin_of(value.text):
                messages.append(ChannelMessage(WireEvent.CHANNEL_RESET, step, name))
                messages.append(ChannelMessage(WireEvent.FRAME, step, name, Part(0, value.text)))
                known.empty()
            elif known.length < len(value.text):
                rest = Part(known.length, value.text[known.length :])
                messages.append(ChannelMessage(WireEvent.FRAME, step, name, rest))
            if known is None or known.length == _UNKNOWN:
                known = self._open[step, name] = _Channel(0 if known is None else known.tries)
            known.append(value.text[known.length :])
        return messages

    def _end(self, step: str, channels: dict[str, _Value]) -> list[ChannelMessage]:
        """Close the channels of a step that is over, and empty those that its outcome, `channels`, does not have."""
        messages: list[ChannelMessage] = []
        for key in [key for key in self._open if key[0] == step]:
            known = self._open.pop(key)
            if known.length != 0 and key[1] not in channels:
                messages.append(ChannelMessage(WireEvent.CHANNEL_RESET, *key))
        self._closed[step] = None
        self._tries_min.pop(step, None)
        _bound(self._closed)
        return messages

    def _empty(self, step: str) -> list[ChannelMessage]:
        """Empty the channels of a step that is tried again."""
        messages = []
        for (filler, name), known in self._open.items():
            if filler == step:
                known.tries = max(known.tries, self._tries_min.get(step, 0))
                if known.length != 0:
                    known.empty()
                    messages.append(ChannelMessage(WireEvent.CHANNEL_RESET, step, name))
        return messages


def _rest(known: _Channel, part: Part) -> Part | None:
    """Return the part of a frame that the client does not have; None when it has all of it."""
    if part.text is None:
        known.length = _UNKNOWN
        return part
    end = part.offset + len(part.text)
    if known.length == _UNKNOWN or part.offset > known.length:
        known.empty()
        if part.offset:
            known.length = _UNKNOWN
        else:
            known.append(part.text)
        return part
    if end <= known.length:
        return None
    rest = part if part.offset == known.length else Part(known.length, part.text[known.length - part.offset :])
    known.append(rest.text or "")
    return rest


def _bound(remembered: dict[str, int] | dict[str, None]) -> None:
    if len(remembered) > _CLOSED_MAX:
        del remembered[next(iter(remembered))]
