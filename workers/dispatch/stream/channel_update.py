"""Decide what a subscriber is sent next of a turn's channels. Pure.

A channel's value is the buffer: an update with the part that a subscriber lacks is made from it whenever the subscriber
has room. So a slow subscriber costs nothing, and gets in one piece what others got in many.

Rules, per channel:
- When a step is tried again, or another process fills the channel again, the channel has a new generation. The
  subscriber is told that the channel is empty again (RESET), then gets its value from 0.
- When the turn is resumed after a suspension, a workflow's own channel has a new generation, too, but goes on.
- Text goes on behind the last character that the subscriber has.
- Of a JSON value that was replaced the newest one is sent. Of patches all that the subscriber lacks are sent; when they
  are not kept any more: GAP, then the whole value.
- A subscriber that comes back with a frame number that is not known here has a GAP in every channel.
- Nothing is sent before the durable event that it follows.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, Protocol

GAP_DUE: Final = -1


class LiveChannel(Protocol):
    """The part of argosy.workflow.channel.Channel that is read here; see there. Other threads may fill it meanwhile."""

    @property
    def step(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tries(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def is_text(self) -> bool: ...
    @property
    def is_refilled(self) -> bool: ...
    @property
    def length(self) -> int: ...
    @property
    def replaced(self) -> int: ...
    @property
    def restored(self) -> int: ...
    def shown(self, durable_seq: int) -> int: ...
    def text(self, begin: int, end: int) -> str: ...
    def json(self) -> bytes: ...
    def patches(self, since_length: int) -> list[bytes] | None: ...


class SentChannel(NamedTuple):
    """What a subscriber has been sent of one channel. length: up to where; GAP_DUE: a gap is to be sent first."""

    step: str
    name: str
    generation: int
    length: int


# What a subscriber has been sent of a turn's channels. Immutable, so that it can be remembered under a frame's number.
Sent = tuple[SentChannel, ...]


class UpdateKind(Enum):
    """What an update does: fill a channel, empty it (RESET), or say that frames were left out (GAP)."""

    TEXT = "text"
    JSON = "json"
    PATCH = "patch"
    RESET = "reset"
    GAP = "gap"


class ChannelUpdate(NamedTuple):
    """What one frame changes in a channel: its value from begin to end. value: for JSON and PATCH alone; text is read
    from the channel when the frame is made.
    """

    kind: UpdateKind
    channel: LiveChannel
    begin: int
    end: int
    value: bytes = b""


def next_update(
    channels: Iterable[LiveChannel], sent: Sent, *, durable_seq: int, characters_max: int
) -> ChannelUpdate | None:
    """Return what the subscriber is sent next; None: it has all that may be sent now.

    channels: in the order in which they began. durable_seq: the turn's newest durable event. characters_max: of one
    frame of text.
    """
    before_of = {(before.step, before.name): before for before in sent}
    for channel in channels:
        before = before_of.get((channel.step, channel.name))
        if before is not None and before.generation == channel.generation and before.length == channel.length:
            continue
        if update := _next_of(channel, before, channel.shown(durable_seq), characters_max):
            return update
    return None


def _next_of(channel: LiveChannel, before: SentChannel | None, shown: int, characters_max: int) -> ChannelUpdate | None:
    if before is None:
        if shown and channel.is_refilled:
            return ChannelUpdate(UpdateKind.RESET, channel, 0, 0)
    elif before.generation != channel.generation and (channel.step or channel.is_refilled):
        return ChannelUpdate(UpdateKind.RESET, channel, 0, 0)
    elif before.length == GAP_DUE:
        return ChannelUpdate(UpdateKind.GAP, channel, 0, 0)
    if before is None:
        begin = 0
    elif channel.is_text or before.generation == channel.generation:
        begin = before.length
    else:
        begin = channel.restored  # its length was counted anew; the subscriber has what the suspension wrote of it
    if begin >= shown:
        return None
    if channel.is_text:
        return ChannelUpdate(UpdateKind.TEXT, channel, begin, min(shown, begin + characters_max))
    if begin > 0 and begin >= channel.replaced:
        patches = channel.patches(begin)
        if patches is None:
            return ChannelUpdate(UpdateKind.GAP, channel, 0, 0)
        patches = patches[: shown - begin]
        return ChannelUpdate(UpdateKind.PATCH, channel, begin, begin + len(patches), _joined(patches))
    return _whole(channel, begin, shown)


def _whole(channel: LiveChannel, begin: int, shown: int) -> ChannelUpdate | None:
    """Return the update with the newest JSON value; None when that must not be sent yet.

    A thread may change the value between the two reads: then they are repeated.
    """
    while (length := channel.length) == shown:
        value = channel.json()
        if channel.length == length:
            return ChannelUpdate(UpdateKind.JSON, channel, begin, length, value)
    return None


def _joined(patches: list[bytes]) -> bytes:
    """Join JSON lists of operations into one list."""
    if len(patches) == 1:
        return patches[0]
    return b"[" + b",".join(inner for each in patches if (inner := each.strip()[1:-1])) + b"]"


def with_update(sent: Sent, update: ChannelUpdate) -> Sent:
    """Return what a subscriber has been sent once it was sent this update, too."""
    channel = update.channel
    now = SentChannel(channel.step, channel.name, channel.generation, update.end)
    others = tuple(before for before in sent if before.name != now.name or before.step != now.step)
    return (*others, now)


def without_step(sent: Sent, step: str) -> Sent:
    """Return `sent` without the channels of a step whose end is durable: that event holds their values."""
    if not any(before.step == step for before in sent):
        return sent
    return tuple(before for before in sent if before.step != step)


def whole(channels: Iterable[LiveChannel]) -> Sent:
    """Return the `Sent` of a subscriber that knows the whole values of these channels, from a durable event."""
    return tuple(SentChannel(each.step, each.name, each.generation, each.length) for each in channels)


def with_gaps(channels: Iterable[LiveChannel]) -> Sent:
    """Return the `Sent` of a subscriber whose last number is unknown: a gap is due in each channel that has a value."""
    return tuple(SentChannel(each.step, each.name, each.generation, GAP_DUE) for each in channels if each.length)
