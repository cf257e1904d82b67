"""What a watcher is sent next of a turn's channels. Pure.

A channel's value is the buffer: what a watcher has not been sent is cut from it whenever there is room, so a slow one
costs nothing, and gets in one piece what others got in many.

Rules, per channel:
- another generation than the watcher has: it is told that the channel is empty again (RESET), then the value from 0;
- text goes on at the character that the watcher has;
- of JSON the newest value is enough; of patches all that the watcher lacks, and when they are not kept any more: GAP,
  then the whole value;
- a workflow's own channel goes on when the turn is resumed: it is never emptied within an attempt;
- a watcher that comes back with a number that nobody knows here has a GAP in every channel;
- nothing is told before the durable event that it follows.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, Protocol

GAP_DUE: Final = -1


class Channel(Protocol):
    """What is read of argosy.workflow.channel.Channel, which says what each of these is. It may be filled meanwhile."""

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
    """What a watcher has been sent of one channel. length: GAP_DUE before it is told of a gap."""

    step: str
    name: str
    generation: int
    length: int


# What a watcher has been sent of a turn's channels: a value, so that it can be remembered under a number.
Seen = tuple[Had, ...]


class Kind(Enum):
    TEXT = "text"
    JSON = "json"
    PATCH = "patch"
    RESET = "reset"
    GAP = "gap"


class Cut(NamedTuple):
    """One frame's worth of a channel. begin, end: in the channel's length. value: of JSON and PATCH; a text is cut when
    it is sent.
    """

    kind: Kind
    channel: Channel
    begin: int
    end: int
    value: bytes = b""


def next_cut(channels: Iterable[Channel], seen: Seen, *, durable_seq: int, characters_max: int) -> Cut | None:
    """What comes next; None: the watcher has all that may be told. channels: in the order in which they began;
    durable_seq: of the turn; characters_max: of one frame of text.
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
        begin = channel.restored  # it was counted anew, and who has had it knows what the suspend held
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
    """The newest value, with the length that it has; None when it must not be told yet."""
    while (length := channel.length) == shown:
        value = channel.json()
        if channel.length == length:
            return Cut(Kind.JSON, channel, begin, length, value)
    return None


def _joined(patches: list[bytes]) -> bytes:
    """Lists of operations as one list."""
    if len(patches) == 1:
        return patches[0]
    return b"[" + b",".join(inner for each in patches if (inner := each.strip()[1:-1])) + b"]"


def after(seen: Seen, cut: Cut) -> Seen:
    """What a watcher has been sent once it was sent this, too."""
    channel = cut.channel
    now = Had(channel.step, channel.name, channel.generation, cut.end)
    others = tuple(had for had in seen if had.name != now.name or had.step != now.step)
    return (*others, now)


def without_step(seen: Seen, step: str) -> Seen:
    """The durable event that ends a step holds what its channels came to: they are over."""
    if not any(had.step == step for had in seen):
        return seen
    return tuple(had for had in seen if had.step != step)


def up_to_now(channels: Iterable[Channel]) -> Seen:
    """Of a watcher that knows everything that these came to."""
    return tuple(Had(each.step, each.name, each.generation, each.length) for each in channels)


def lost(channels: Iterable[Channel]) -> Seen:
    """Of a watcher that comes back with a number that nobody knows: a gap in everything that is there."""
    return tuple(Had(each.step, each.name, each.generation, GAP_DUE) for each in channels if each.length)
