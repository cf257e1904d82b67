"""The channels of one attempt of a turn: what its steps and its workflow have filled and no durable event holds yet.

Rules:
- A channel belongs to one try of a step, or to the workflow. The step's outcome takes its channels with it; a step
  that is tried again begins with none.
- What the workflow itself emits is there until the turn ends. A replay emits it again: as many emits of a channel as
  the last suspend has counted are passed over, and the channel goes on from the value that was written there.
- Nobody may be watching: then an emit costs an append.
Threads: every method may be called from any of them.
"""

import threading
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channel import Channel
from argosy.workflow.emitted import check_name, json_of, patch_of, size_bytes_of
from argosy.workflow.own_emits import Kept, OwnEmits

WORKFLOW: Final = ""  # in place of a step's key

_encode = msgspec.json.Encoder().encode
# So much may be added to a channel before anything more is asked; as tokens it weighs some 5 KB.
_ROOM_CHARACTERS_MAX: Final = 512
# Of the process: the same attempt has other channels when it is resumed, and watchers must not mistake one for another.
_generations: Final = count(1)


class ChannelBounds(NamedTuple):
    """emit_size_bytes_max: of one emit; value_size_bytes_max: of one channel's value; turn_size_bytes_max: of all the
    values that a turn has in memory, channels_max: how many.
    """

    emit_size_bytes_max: int
    value_size_bytes_max: int
    turn_size_bytes_max: int
    channels_max: int


class Numbered(Protocol):
    """seq: its newest event, durable or not."""

    @property
    def seq(self) -> int: ...


class Channels:
    """numbered: whose they are, a turn. listener is called after every change, in the thread that made it;
    None: nobody watches.
    """

    __slots__ = (
        "__weakref__",
        "_adding",
        "_bounds",
        "_by_step",
        "_count",
        "_is_refilled",
        "_is_suspended",
        "_lock",
        "_own_emits",
        "_size_bytes",
        "_written",
        "listener",
        "numbered",
    )

    def __init__(self, bounds: ChannelBounds, numbered: Numbered, kept: Kept | None = None) -> None:
        self.listener: Callable[[], None] | None = None
        self.numbered = numbered
        self._bounds = bounds
        self._lock = threading.Lock()
        self._by_step: dict[str, dict[str, Channel]] = {}
        # To which something may have been added that is not counted yet.
        self._adding: Channel | None = None
        self._size_bytes = 0
        self._count = 0
        self._own_emits = OwnEmits({} if kept is None else kept.emits)
        # The length of the workflow's own channels when the last suspend wrote them.
        self._written: dict[str, int] = {}
        self._is_refilled = False
        self._is_suspended = False
        if kept is not None:
            self._restore(kept)

    # For the code that emits

    def append(self, step: str, tries: int, name: str, text: str) -> Channel | None:
        """The channel; None: the workflow is on its way out, and nothing was appended. Raises WorkflowError."""
        size_bytes = size_bytes_of(text)
        self._check_emit(size_bytes)

        def change(channel: Channel) -> None:
            self._check_value(channel, channel.size_bytes + size_bytes)
            channel.append(text, size_bytes, self.numbered.seq)

        return self._fill(step, tries, name, True, change)

    def room(self, channel: Channel) -> int:
        """So many characters of ASCII may be added to a text (Channel.add), while no other is filled, and no bound be
        passed.
        """
        self._adding = channel
        bounds = self._bounds
        room = min(_ROOM_CHARACTERS_MAX, bounds.emit_size_bytes_max)
        in_channel = bounds.value_size_bytes_max - channel.size_bytes
        in_turn = bounds.turn_size_bytes_max - self._size_bytes
        return room if in_channel >= room <= in_turn else min(in_channel, in_turn)

    def replace(self, step: str, tries: int, name: str, value: Any) -> None:
        """Raises WorkflowError; EncodingError when it is no JSON."""
        whole = json_of(value)
        self._check_emit(len(whole))

        def change(channel: Channel) -> None:
            self._check_value(channel, len(whole))
            channel.replace(whole, self.numbered.seq)

        self._fill(step, tries, name, False, change)

    def patch(self, step: str, tries: int, name: str, operations: Any) -> None:
        """operations: RFC 6902; a channel begins with null. Raises WorkflowError; EncodingError when it is no JSON."""
        encoded, decoded = patch_of(operations)
        self._check_emit(len(encoded))

        def change(channel: Channel) -> None:
            channel.patch(
                decoded, encoded, self.numbered.seq, lambda size_bytes: self._check_value(channel, size_bytes)
            )

        self._fill(step, tries, name, False, change)

    # For the journal

    def take(self, step: str) -> bytes:
        """The step has come to its end: its channels, as its event's data holds them (a JSON object), and no more here.
        Empty bytes: it has filled none.
        """
        with self._lock:
            channels = self._remove(step)
        return _object(channels)  # they are over: nobody fills them

    def clear(self, step: str) -> None:
        """The step is tried again."""
        with self._lock:
            is_filled = bool(self._remove(step))
        listener = self.listener
        if is_filled and listener is not None:
            listener()

    def suspended(self) -> bytes:
        """Members of turn.suspended's data: the workflow's channels that have changed since the last one, and how many
        emits of each there were. Empty bytes: the workflow has filled none. What its code emits on its way out from now
        on (in a `finally`) counts for nothing: the replay comes to it when it is due.
        """
        with self._lock:
            self._is_suspended = True
            own = self._by_step.get(WORKFLOW, {})
            changed = [each for each in own.values() if self._written.get(each.name) != each.length]
            self._written = {each.name: each.length for each in own.values()}
            members = b'"channels":%b,' % _object(changed) if changed else b""
            counts = self._own_emits.counts
            return b'%b"emits":%b' % (members, _encode(counts)) if counts else b""

    def own(self) -> bytes:
        """The workflow's own channels, as the event that ends the turn holds them. Empty bytes: there are none."""
        with self._lock:
            return _object(self._by_step.get(WORKFLOW, {}).values())

    # For watchers

    def open(self) -> list[Channel]:
        """In the order of their first emit."""
        with self._lock:
            found = [channel for channels in self._by_step.values() for channel in channels.values()]
            for channel in found:
                self._size_bytes += channel.count()
        return sorted(found, key=lambda channel: channel.generation)

    # Inside

    def _fill(
        self, step: str, tries: int, name: str, is_text: bool, change: Callable[[Channel], None]
    ) -> Channel | None:
        check_name(name)
        with self._lock:
            if not step and (self._is_suspended or self._own_emits.is_held(name)):
                return None
            channel = None
            try:
                channel = self._channel(step, tries, name, is_text)
                self._size_bytes += channel.count()
                if self._adding is not None and not self._adding.is_over:
                    self._size_bytes += self._adding.count()
                size_bytes = channel.size_bytes
                change(channel)
            except WorkflowError:
                self._refused(step, name, channel)
                raise
            self._size_bytes += channel.size_bytes - size_bytes
        listener = self.listener
        if listener is not None:
            listener()
        return channel

    def _channel(self, step: str, tries: int, name: str, is_text: bool) -> Channel:
        channels = self._by_step.get(step)
        channel = None if channels is None else channels.get(name)
        if channel is not None and channel.tries < tries:
            self._remove(step)  # a thread of an earlier try came between its end and this one
            channel = None
        if channel is None:
            return self._make(step, tries, name, is_text)
        if channel.tries > tries:
            raise WorkflowError(f"this try of step {step!r} is over: it emits no more")
        if channel.is_text is not is_text:
            before, now = ("text", "json or patches") if channel.is_text else ("json or patches", "text")
            raise WorkflowError(f"channel {name!r} has {before} in it; it takes no {now}")
        return channel

    def _refused(self, step: str, name: str, channel: Channel | None) -> None:
        """A replay refuses it again. A channel that has nothing in it is none."""
        if not step:
            self._own_emits.refused(name)
        if channel is not None and not channel.length:
            channel.is_over = True
            del self._by_step[step][name]
            self._count -= 1

    def _make(self, step: str, tries: int, name: str, is_text: bool) -> Channel:
        if self._count >= self._bounds.channels_max:
            raise WorkflowError(
                f"the turn has {self._count} open channels, the bound is CHANNELS_PER_TURN_MAX={self._count}"
            )
        self._count += 1
        is_refilled = self._is_refilled and not step
        channel = Channel(self._lock, step, name, tries, is_text, next(_generations), is_refilled)
        self._by_step.setdefault(step, {})[name] = channel
        return channel

    def _remove(self, step: str) -> list[Channel]:
        channels = list(self._by_step.pop(step, {}).values())
        self._count -= len(channels)
        for channel in channels:
            channel.is_over = True
            if channel is self._adding:
                self._adding = None
            self._size_bytes -= channel.size_bytes
        return channels

    def _restore(self, kept: Kept) -> None:
        self._is_refilled = kept.is_refilled
        for name, value in kept.values.items():
            channel = self._make(WORKFLOW, 0, name, "text" in value)
            if channel.is_text:
                channel.append(value["text"], size_bytes_of(value["text"]), 0)
            else:
                channel.replace(_encode(value.get("json")), 0)
            self._size_bytes += channel.size_bytes
            self._written[name] = channel.restored = channel.length

    def _check_emit(self, size_bytes: int) -> None:
        if size_bytes > self._bounds.emit_size_bytes_max:
            raise WorkflowError(
                f"one emit has {size_bytes} bytes, the bound is EMIT_SIZE_BYTES_MAX={self._bounds.emit_size_bytes_max}"
            )

    def _check_value(self, channel: Channel, size_bytes: int) -> None:
        if size_bytes > self._bounds.value_size_bytes_max:
            raise WorkflowError(
                f"channel {channel.name!r} would have {size_bytes} bytes, "
                f"the bound is PAYLOAD_SIZE_BYTES_MAX={self._bounds.value_size_bytes_max}"
            )
        whole = self._size_bytes - channel.size_bytes + size_bytes
        if whole > self._bounds.turn_size_bytes_max:
            raise WorkflowError(
                f"the turn's open channels would have {whole} bytes, "
                f"the bound is CHANNELS_SIZE_BYTES_MAX={self._bounds.turn_size_bytes_max}"
            )


def _object(channels: Iterable[Channel]) -> bytes:
    members = b",".join([channel.member() for channel in channels])
    return b"{%b}" % members if members else b""
