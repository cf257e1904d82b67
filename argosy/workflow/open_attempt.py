"""What one attempt of a turn has emitted, for as long as its code runs.

Rule: the first text has no Channels. Most steps fill one channel and have no follower. Then the list of the channel's
tokens is all there is, and goes into the event that ends the step. When a follower comes, or anything else is emitted,
`reveal` makes the Channels, which go on with that same list.
"""

import uuid
from typing import Protocol

import msgspec

from argosy.errors import WorkflowError
from argosy.identity.turn_principal import TurnPrincipal
from argosy.workflow.channel import text_member
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.current import StepInfo, Try
from argosy.workflow.emit_checks import check_name, check_not_held, make_lock
from argosy.workflow.graphs import TurnGraphs
from argosy.workflow.tail import Tail, over

# One lock for all attempts: each use holds it for a few statements, and a lock per attempt would cost a turn more.
_LOCK = make_lock()


class _Open(Protocol):
    """The journal, as its attempt needs it."""

    @property
    def turn_id(self) -> uuid.UUID: ...
    @property
    def principal(self) -> TurnPrincipal | None: ...
    @property
    def attempt(self) -> int: ...
    @property
    def bounds(self) -> ChannelBounds: ...
    @property
    def is_new(self) -> bool: ...
    def channels(self) -> Channels: ...
    def show(self, channels: Channels) -> None: ...
    def graphs(self) -> TurnGraphs: ...


class _Ended(msgspec.Struct, frozen=True):
    """Stands in for the journal once the followers have left."""

    turn_id: uuid.UUID
    principal: TurnPrincipal | None
    attempt: int
    bounds: ChannelBounds
    is_new: bool = False

    def channels(self) -> Channels:
        raise WorkflowError("the turn rests or has ended: nothing of it emits any more")

    def show(self, channels: Channels) -> None: ...

    def graphs(self) -> TurnGraphs:
        raise WorkflowError("the turn rests or has ended: nothing of it reads a graph any more")


class OpenAttempt:
    """The CurrentAttempt (argosy/workflow/current.py), whose methods any thread may call, and `reveal`, too.

    The other methods are called on the event loop only. tail: the end of a text that has no Channels; filled: the
    Channels. Nothing is in both.
    """

    __slots__ = ("_journal", "filled", "is_closed", "tail")

    def __init__(self, journal: _Open) -> None:
        self._journal = journal
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
            # Looked at again under the lock: a try is over before `take` is called, and after that no text may begin.
            if self.filled is not None or self.tail is not None or self._is_refused(this):
                return False
            self.tail = Tail(this, name, [text], tokens_max - 1)
            return True

    def channels(self, this: Try | None) -> Channels | None:
        check_not_held(_LOCK)
        if self.is_closed:
            raise WorkflowError("the turn rests or has ended: nothing of it emits any more")
        if this is not None:
            if this.is_over:
                raise WorkflowError(over(this.step_key))
            if this.is_private:
                return None
        return self.filled or self.reveal()

    def close(self) -> None:
        """Note that the workflow has ended: it and its steps emit nothing any more."""
        with _LOCK:
            self.is_closed = True
            if self.tail is not None:
                self.tail.drop()
        if self.filled is not None:
            self.filled.follow()

    def graphs(self, this: Try) -> TurnGraphs:
        if this.is_over:
            raise WorkflowError(f"step {this.step_key!r} is over: it reads no graph any more")
        return self._journal.graphs()

    def info(self, this: Try) -> StepInfo:
        journal = self._journal
        return StepInfo(journal.turn_id, this.step_key, journal.attempt, this.number, journal.principal)

    def look(self) -> Channels | None:
        """Return the channels for a new follower. Called on the event loop.

        None: the attempt has emitted nothing yet, and its first emit finds out whether the turn has followers.
        """
        return self.reveal() if self._journal.is_new else self.filled

    def leave(self) -> None:
        """Note that nothing follows the attempt any more; objects that still refer to it do not keep its turn alive."""
        journal = self._journal
        self._journal = _Ended(journal.turn_id, journal.principal, journal.attempt, journal.bounds)
        self.filled = None

    def reveal(self) -> Channels:
        """Return the Channels with all that was emitted, made now if need be. Any thread may call this."""
        if self.filled is not None:
            return self.filled
        made = self._journal.channels()
        with _LOCK:
            if self.filled is not None:
                return self.filled
            # `show` comes first: from then on, the Channels hear of the turn's new events.
            self._journal.show(made)
            if self.tail is not None:
                made.adopt(self.tail)
            self.filled = made
            self.tail = None
        if (listener := made.listener) is not None:  # a follower that came after `show` has seen empty Channels
            listener()
        return made

    def take(self, key: str) -> bytes:
        """Remove what a step that has ended emitted, and return it: Channels.take."""
        with _LOCK:
            filled, tail = self.filled, self.tail
            if tail is not None and tail.filler.step_key == key:
                self.tail = None
                tail.drop()
            else:
                tail = None
        if tail is not None:
            return b"{%b}" % text_member(tail.name, tail.tokens)
        return b"" if filled is None else filled.take(key)

    def clear(self, key: str) -> None:
        """Drop what a step that is tried again emitted: Channels.clear."""
        with _LOCK:
            if self.tail is not None and self.tail.filler.step_key == key:
                self.tail.drop()
                self.tail = None
        if self.filled is not None:
            self.filled.clear(key)

    def _is_refused(self, this: Try) -> bool:
        return this.is_over or this.is_private or self.is_closed
