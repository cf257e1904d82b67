"""Decide what a watcher is sent next of a turn's channels. Pure.

A channel's value is the buffer: the part that a watcher lacks is cut from it whenever the watcher has room. So a slow
watcher costs nothing, and gets in one piece what others got in many.

Rules, per channel:
- When a step is tried again, or another process fills the channel again, the channel has a new generation. The watcher
  is told that the channel is empty again (RESET), then gets its value from 0.
- When the turn is resumed after a suspension, a workflow's own channel has a new generation, too, but goes on.
- Text goes on behind the last character that the watcher has.
- Of a JSON value that was replaced the newest one is sent. Of patches all that the watcher lacks are sent; when they
  are not kept any more: GAP, then the whole value.
- A watcher that comes back with a frame number that is not known here has a GAP in every channel.
- Nothing is sent before the durable event that it follows.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, Protocol

GAP_DUE: Final = -1


class Channel(Protocol):
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


class Had(NamedTuple):
    """What a watcher has been sent of one channel. length: up to where; GAP_DUE: it is to be told of a gap first."""

    step: str
    name: str
    generation: int
    length: int


# What a watcher has been sent of a turn's channels. Immutable, so that it can be remembered under a frame's number.
Seen = tuple[Had, ...]


class Kind(Enum):
    TEXT = "text"
    JSON = "json"
    PATCH = "patch"
    RESET = "reset"
    GAP = "gap"


class Cut(NamedTuple):
    """What one frame shows of a channel: from begin to end of the channel's length. value: for JSON and PATCH alone;
    text is read from the channel when the frame is made.
    """

    kind: Kind
    channel: Channel
    begin: int
    end: int
    value: bytes = b""


def next_cut(channels: Iterable[Channel], seen: Seen, *, durable_seq: int, characters_max: int) -> Cut | None:
    """Return what the watcher is sent next; None: it has all that may be sent now.

    channels: in the order in which they began. durable_seq: the turn's newest durable event. characters_max: of one
    frame of text.
    """
    had_of = {(had.step, had.name): had for had in seen}
    for channel in channels:
        had = had_of.get((channel.step, channel.name))
        if had is not None and had.generation == channel.generation and had.length == channel.length:
            continue
        if cut := _next_of(channel, had, channel.shown(durable_seq), characters_max):
            return cut
    return None


def _next_of(channel: Channel, had: Had | None, shown: int, characters_max: int) -> Cut | None:
    if had is None:
        if shown and channel.is_refilled:
            return Cut(Kind.RESET, channel, 0, 0)
    elif had.generation != channel.generation and (channel.step or channel.is_refilled):
        return Cut(Kind.RESET, channel, 0, 0)
    elif had.length == GAP_DUE:
        return Cut(Kind.GAP, channel, 0, 0)
    if had is None:
        begin = 0
    elif channel.is_text or had.generation == channel.generation:
        begin = had.length
    else:
        begin = channel.restored  # its length was counted anew; the watcher has what the suspension wrote of it
    if begin >= shown:
        return None
    if channel.is_text:
        return Cut(Kind.TEXT, channel, begin, min(shown, begin + characters_max))
    if begin > 0 and begin >= channel.replaced:
        patches = channel.patches(begin)
        if patches is None:
            return Cut(Kind.GAP, channel, 0, 0)
        patches = patches[: shown - begin]
        return Cut(Kind.PATCH, channel, begin, begin + len(patches), _joined(patches))
    return _whole(channel, begin, shown)


def _whole(channel: Channel, begin: int, shown: int) -> Cut | None:
    """Cut the newest JSON value, with its length; None when it must not be sent yet.

    A thread may change the value between the two reads: then they are repeated.
    """
    while (length := channel.length) == shown:
        value = channel.json()
        if channel.length == length:
            return Cut(Kind.JSON, channel, begin, length, value)
    return None


def _joined(patches: list[bytes]) -> bytes:
    """Join JSON lists of operations into one list."""
    if len(patches) == 1:
        return patches[0]
    return b"[" + b",".join(inner for each in patches if (inner := each.strip()[1:-1])) + b"]"


def after(seen: Seen, cut: Cut) -> Seen:
    """Return what a watcher has been sent once it was sent this cut, too."""
    channel = cut.channel
    now = Had(channel.step, channel.name, channel.generation, cut.end)
    others = tuple(had for had in seen if had.name != now.name or had.step != now.step)
    return (*others, now)


def without_step(seen: Seen, step: str) -> Seen:
    """Return `seen` without the channels of a step whose end is durable: that event holds their values."""
    if not any(had.step == step for had in seen):
        return seen
    return tuple(had for had in seen if had.step != step)


def up_to_now(channels: Iterable[Channel]) -> Seen:
    """Return the `Seen` of a watcher that knows the whole values of these channels, from a durable event."""
    return tuple(Had(each.step, each.name, each.generation, each.length) for each in channels)


def lost(channels: Iterable[Channel]) -> Seen:
    """Return the `Seen` of a watcher that came back with an unknown number: a gap in each channel that has a value."""
    return tuple(Had(each.step, each.name, each.generation, GAP_DUE) for each in channels if each.length)
