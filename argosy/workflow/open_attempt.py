"""One attempt of a turn, for as long as its code runs: what it has emitted.

Rule: the first text has no Channels. Most steps fill one channel and nobody watches: then the list of its tokens is all
there is, and goes into the event that ends the step. Whoever needs Channels (who watches, anything else that is
emitted) calls `reveal`, and they go on with that same list.
"""

import uuid
from typing import Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channel import text_member
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.current import Try
from argosy.workflow.emit_lock import check_not_held, make_lock
from argosy.workflow.emitted import check_name
from argosy.workflow.info import StepInfo
from argosy.workflow.journal import Journal
from argosy.workflow.tail import Tail, over

# Of all attempts: it is held for a few statements, and a lock for each would cost a turn more than that.
_LOCK = make_lock()


class _Open(Protocol):
    """What an attempt needs of its journal."""

    @property
    def turn_id(self) -> uuid.UUID: ...
    @property
    def attempt(self) -> int: ...
    @property
    def bounds(self) -> ChannelBounds: ...
    @property
    def is_new(self) -> bool: ...
    def channels(self) -> Channels: ...
    def show(self, channels: Channels) -> None: ...


class _Ended(msgspec.Struct, frozen=True):
    """Of an attempt that is over."""

    turn_id: uuid.UUID
    attempt: int
    bounds: ChannelBounds
    is_new: bool = False

    def channels(self) -> Channels:
        raise WorkflowError("the workflow has ended: nothing of it emits any more")

    def show(self, channels: Channels) -> None: ...


class OpenAttempt:
    """argosy.workflow.current.Attempt. Changed on the event loop only, but for what emits use: that is from any thread.

    tail: a text that has no Channels; filled: the Channels. Nothing is in both.
    """

    __slots__ = ("_journal", "filled", "is_closed", "tail")

    def __init__(self, journal: Journal) -> None:
        self._journal: _Open = journal
        self.tail: Tail | None = None
        self.filled: Channels | None = None
        self.is_closed = False

    def begin(self, this: Try, name: str, text: str) -> bool:
        check_not_held(_LOCK)
        journal = self._journal
        tokens_max = journal.bounds.tokens_max
        if self.filled is not None or self._is_refused(this) or not journal.is_new or not tokens_max:
            return False
        name = check_name(name)
        with _LOCK:
            # A try is over before `take` is called: nothing begins after that.
            if self.filled is not None or self.tail is not None or self._is_refused(this):
                return False
            self.tail = Tail(this, name, [text], tokens_max - 1)
            return True

    def channels(self, this: Try | None) -> Channels | None:
        check_not_held(_LOCK)
        if self.is_closed:
            raise WorkflowError("the workflow has ended: nothing of it emits any more")
        if this is not None:
            if this.is_over:
                raise WorkflowError(over(this.step_key))
            if this.is_private:
                return None
        return self.filled or self.reveal()

    def close(self) -> None:
        """The workflow has ended: nothing of it emits any more."""
        with _LOCK:
            self.is_closed = True
            if self.tail is not None:
                self.tail.drop()
        if self.filled is not None:
            self.filled.follow()

    def info(self, this: Try) -> StepInfo:
        return StepInfo(self._journal.turn_id, this.step_key, self._journal.attempt, this.number)

    def look(self) -> Channels | None:
        """For who begins to watch: what it has emitted, and emits to. None: nothing yet, and its first emit looks who
        watches. On the event loop.
        """
        return self.reveal() if self._journal.is_new else self.filled

    def leave(self) -> None:
        """Nobody watches any more. What still holds this does not hold its turn."""
        journal = self._journal
        self._journal = _Ended(journal.turn_id, journal.attempt, journal.bounds)
        self.filled = None

    def reveal(self) -> Channels:
        """The Channels, with all that was emitted. From any thread."""
        if self.filled is not None:
            return self.filled
        made = self._journal.channels()
        with _LOCK:
            if self.filled is not None:
                return self.filled
            # In this order: from `show` on the turn's events are followed.
            self._journal.show(made)
            if self.tail is not None:
                made.adopt(self.tail)
            self.filled = made
            self.tail = None
        if (listener := made.listener) is not None:  # who came after `show` was told of what was there, which was none
            listener()
        return made

    def take(self, key: str) -> bytes:
        """As Channels.take."""
        with _LOCK:
            filled, tail = self.filled, self.tail
            if tail is not None and tail.owner.step_key == key:
                self.tail = None
                tail.drop()
            else:
                tail = None
        if tail is not None:
            return b"{%b}" % text_member(tail.name, tail.tokens)
        return b"" if filled is None else filled.take(key)

    def clear(self, key: str) -> None:
        """As Channels.clear."""
        with _LOCK:
            if self.tail is not None and self.tail.owner.step_key == key:
                self.tail.drop()
                self.tail = None
        if self.filled is not None:
            self.filled.clear(key)

    def _is_refused(self, this: Try) -> bool:
        return this.is_over or this.is_private or self.is_closed
