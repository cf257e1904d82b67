"""The channels of one attempt of a turn: what its steps and its workflow have emitted and no durable event holds yet.

Rules:
- A channel belongs to one try of a step, or to the workflow. The event with the step's outcome takes the step's
  channels; a step that is tried again begins with none.
- The workflow's own channels stay until the turn ends. A replay emits to them again: it skips as many emits of a
  channel as the last suspend has counted, and the channel goes on from the value that the suspend wrote.
- Most turns have no follower. Then one more token costs an append to a list (see Tail).

Any thread may call any method.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final, Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channel import Channel
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.emit_checks import check_name, check_not_held, json_of, make_lock, patch_of, size_bytes_of
from argosy.workflow.own_emits import Kept, OwnEmits
from argosy.workflow.tail import Filler, Tail, over

WORKFLOW: Final = ""  # in place of a step's key

_encode = msgspec.json.Encoder().encode
# One count for the process: a resumed attempt has new channels, which followers must not mistake for the former ones.
_generations: Final = count(1)


class Numbered(Protocol):
    """A turn. seq: its newest event, durable or not."""

    @property
    def seq(self) -> int: ...


class Channels:
    """The channels of one attempt.

    numbered: the turn. listener: called after each emit and each `clear`, in the thread that did it; None: nobody
    follows.
    """

    __slots__ = (
        "__weakref__",
        "_bounds",
        "_by_step",
        "_count",
        "_is_refilled",
        "_lock",
        "_own_emits",
        "_size_bytes",
        "_tail",
        "listener",
        "numbered",
    )

    def __init__(self, bounds: ChannelBounds, numbered: Numbered, kept: Kept | None = None) -> None:
        self.listener: Callable[[], None] | None = None
        self.numbered = numbered
        # Where the try that filled a text last may go on. Its newest tokens may not be counted yet.
        self._tail: Tail | None = None
        self._bounds = bounds
        self._lock = make_lock()
        self._by_step: dict[str, dict[str, Channel]] = {}
        self._size_bytes = 0
        self._count = 0
        self._own_emits: OwnEmits | None = None
        self._is_refilled = False
        if kept is not None:
            self._restore(kept)

    # For the code that emits

    def append(self, step: str, tries: int, name: str, text: str, filler: Filler | None = None) -> None:
        """Add to a text. filler: the try, which may go on at the text's end without the lock (Tail). Raises
        WorkflowError.
        """
        size_bytes = size_bytes_of(text)
        self._bounds.check_emit(size_bytes)

        def change(channel: Channel) -> None:
            self._check(channel, channel.size_bytes + size_bytes)
            channel.append(text, size_bytes, self.numbered.seq)

        self._fill(step, tries, name, True, change, filler)

    def adopt(self, tail: Tail) -> None:
        """Take over a text that was filled without Channels; its try may be appending to it at this moment.

        The events that its tokens followed were not noted, so followers see them after all of the turn's events so far.
        """
        with self._lock:
            channel = self._make(tail.filler.step_key, tail.filler.number, tail.name, True)
            channel.begin(tail.tokens, self.numbered.seq)
            tail.channels = self
            self._tail = tail

    def replace(self, step: str, tries: int, name: str, value: Any, filler: Filler | None = None) -> None:
        """Replace a JSON value. Raises WorkflowError; EncodingError when the value cannot be JSON."""
        whole = json_of(value)
        self._bounds.check_emit(len(whole))

        def change(channel: Channel) -> None:
            self._check(channel, len(whole))
            channel.replace(whole, self.numbered.seq)

        self._fill(step, tries, name, False, change, filler)

    def patch(self, step: str, tries: int, name: str, operations: Any, filler: Filler | None = None) -> None:
        """Change a JSON value by operations (RFC 6902); a channel begins with null.

        Raises WorkflowError; EncodingError when the operations cannot be JSON.
        """
        encoded, decoded = patch_of(operations)
        self._bounds.check_emit(len(encoded))

        def change(channel: Channel) -> None:
            channel.patch(decoded, encoded, self.numbered.seq, lambda size_bytes: self._check(channel, size_bytes))

        self._fill(step, tries, name, False, change, filler)

    # For the journal

    def follow(self) -> None:
        """Note that the turn has a new event: what is emitted from now on follows it."""
        with self._lock:
            self._drop_tail()

    def take(self, step: str) -> bytes:
        """Remove the channels of a step that has ended, and return them as its event's data holds them (a JSON object).

        Empty bytes when the step has emitted nothing.
        """
        with self._lock:
            channels = self._remove(step)
        return _object(channels)  # without the lock: no try fills them any more

    def clear(self, step: str) -> None:
        """Drop the channels of a step that is tried again."""
        with self._lock:
            is_filled = bool(self._remove(step))
        listener = self.listener
        if is_filled and listener is not None:
            listener()

    def suspended(self) -> bytes:
        """Return members of turn.suspended's data: the workflow's channels that changed since the last suspend, and the
        counts of its emits.

        Empty bytes when the workflow has emitted nothing. What its code emits from now on, while its frames are closed
        (in a `finally`), counts for nothing: the replay makes that emit when it is due.
        """
        with self._lock:
            emits = self._emits_of_workflow()
            emits.is_suspended = True
            own = self._by_step.get(WORKFLOW, {})
            changed = [each for each in own.values() if emits.written.get(each.name) != each.length]
            emits.written = {each.name: each.length for each in own.values()}
            members = b'"channels":%b,' % _object(changed) if changed else b""
            counts = emits.counts
            return b'%b"emits":%b' % (members, _encode(counts)) if counts else b""

    def own(self) -> bytes:
        """Return the workflow's own channels as the event that ends the turn holds them; empty bytes when there are
        none.
        """
        with self._lock:
            return _object(self._by_step.get(WORKFLOW, {}).values())

    # For followers

    def open(self) -> list[Channel]:
        """Return the open channels, in the order of their first emit."""
        with self._lock:
            found = [channel for channels in self._by_step.values() for channel in channels.values()]
            for channel in found:
                self._size_bytes += channel.count()
        return sorted(found, key=lambda channel: channel.generation)

    # Inside

    def _fill(
        self,
        step: str,
        tries: int,
        name: str,
        is_text: bool,
        change: Callable[[Channel], None],
        filler: Filler | None,
    ) -> None:
        check_not_held(self._lock)
        name = check_name(name)
        with self._lock:
            if filler is not None and filler.is_over:  # a thread of the try that emits after `take`
                raise WorkflowError(over(step))
            if not step and ((emits := self._emits_of_workflow()).is_suspended or emits.is_held(name)):
                return
            self._drop_tail()
            is_new = name not in self._by_step.get(step, {})
            try:
                channel = self._channel(step, tries, name, is_text)
                self._size_bytes += channel.count()
                size_bytes = channel.size_bytes
                change(channel)
            except WorkflowError:
                self._refused(step, name, is_new)
                raise
            self._size_bytes += channel.size_bytes - size_bytes
            if is_text and filler is not None:
                left = self._bounds.tokens_beside(channel.size_bytes, self._size_bytes)
                self._tail = Tail(filler, name, channel.tokens, left, self)
        listener = self.listener
        if listener is not None:
            listener()

    def _check(self, channel: Channel, size_bytes: int) -> None:
        """Raise WorkflowError when a channel must not become so large."""
        self._bounds.check_value(channel.name, size_bytes, self._size_bytes - channel.size_bytes + size_bytes)

    def _channel(self, step: str, tries: int, name: str, is_text: bool) -> Channel:
        channel = self._by_step.get(step, {}).get(name)
        if channel is None:
            if self._count >= (count_max := self._bounds.channels_max):
                raise WorkflowError(
                    f"the turn has {self._count} open channels, the bound is CHANNELS_PER_TURN_MAX={count_max}"
                )
            return self._make(step, tries, name, is_text)
        if channel.is_text is not is_text:
            before, now = ("text", "json or patches") if channel.is_text else ("json or patches", "text")
            raise WorkflowError(f"channel {name!r} has {before} in it; it takes no {now}")
        return channel

    def _refused(self, step: str, name: str, is_new: bool) -> None:
        """Note that an emit was refused.

        A replay refuses it again, when it is the workflow's. If the channel would have begun with it, the channel is
        removed.
        """
        if not step:
            self._emits_of_workflow().refused(name)
        if is_new and self._by_step.get(step, {}).pop(name, None) is not None:
            self._count -= 1

    def _make(self, step: str, tries: int, name: str, is_text: bool) -> Channel:
        self._count += 1
        is_refilled = self._is_refilled and not step
        channel = Channel(self._lock, step, name, tries, is_text, next(_generations), is_refilled)
        self._by_step.setdefault(step, {})[name] = channel
        return channel

    def _remove(self, step: str) -> list[Channel]:
        if self._tail is not None and self._tail.filler.step_key == step:
            self._drop_tail()
        channels = list(self._by_step.pop(step, {}).values())
        self._count -= len(channels)
        for channel in channels:
            self._size_bytes -= channel.size_bytes
        return channels

    def _drop_tail(self) -> None:
        if (tail := self._tail) is not None:
            self._tail = None
            tail.drop()
            self._size_bytes += self._by_step[tail.filler.step_key][tail.name].count()

    def _emits_of_workflow(self) -> OwnEmits:
        if self._own_emits is None:
            self._own_emits = OwnEmits({})
        return self._own_emits

    def _restore(self, kept: Kept) -> None:
        self._own_emits = OwnEmits(kept.emits)
        self._is_refilled = kept.is_refilled
        for name, value in kept.values.items():
            channel = self._make(WORKFLOW, 0, name, "text" in value)
            if channel.is_text:
                channel.append(value["text"], size_bytes_of(value["text"]), 0)
            else:
                channel.replace(_encode(value.get("json")), 0)
            self._size_bytes += channel.size_bytes
            self._own_emits.written[name] = channel.restored = channel.length


def _object(channels: Iterable[Channel]) -> bytes:
    members = b",".join([channel.member() for channel in channels])
    return b"{%b}" % members if members else b""
