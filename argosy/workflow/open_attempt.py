"""One attempt of a turn, for as long as its code runs: what is under way in it, and what it has emitted.

Rule: the first text has no Channels. Most steps fill one channel and nobody watches: then the list of its tokens is all
there is, and goes into the event that ends the step. Whoever needs Channels (who watches, anything else that is
emitted) calls `reveal`, and they go on with that same list.
"""

import asyncio
import threading
from typing import Any

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channel_bounds import TOKEN_CHARACTERS_MAX
from argosy.workflow.channels import Channels
from argosy.workflow.current import Try
from argosy.workflow.emitted import check_name
from argosy.workflow.info import StepInfo
from argosy.workflow.journal import Journal
from argosy.workflow.tail import Tail, over

_encode = msgspec.json.Encoder().encode

# Of all attempts: it is held for a few statements, and a lock for each would cost a turn more than that.
_LOCK = threading.Lock()


class OpenAttempt:
    """argosy.workflow.current.Attempt. Changed on the event loop only, but for what emits use: that is from any thread.

    operations: under way, by key. tail: a text that has no Channels; filled: the Channels. Nothing is in both.
    """

    __slots__ = ("_journal", "filled", "is_closed", "operations", "tail")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.operations: dict[str, asyncio.Task[Any] | None] = {}
        self.tail: Tail | None = None
        self.filled: Channels | None = None
        self.is_closed = False

    def begin(self, this: Try, name: str, text: str) -> bool:
        journal = self._journal
        tokens_max = journal.bounds.tokens_max
        if (
            self.filled is not None
            or this.is_private
            or not tokens_max
            or not journal.is_new
            or len(text) > TOKEN_CHARACTERS_MAX
            or not text.isascii()
        ):
            return False
        name = check_name(name)
        with _LOCK:
            # It is set before `take`: none comes after that.
            if this.is_over or self.filled is not None or self.tail is not None or self.is_closed:
                return False
            self.tail = Tail(this, name, [text], tokens_max - 1)
            return True

    def channels(self, this: Try | None) -> Channels | None:
        if self.is_closed:
            raise WorkflowError("the workflow has ended: nothing of it emits any more")
        if this is not None:
            if this.is_over:
                raise WorkflowError(over(this.step_key))
            if this.is_private:
                return None
        return self.filled or self.reveal()

    def info(self, this: Try) -> StepInfo:
        return StepInfo(self._journal.turn_id, this.step_key, self._journal.attempt, this.number)

    def reveal(self) -> Channels:
        """The Channels, with all that was emitted. From any thread."""
        with _LOCK:
            if self.filled is None:
                channels = self._journal.channels()
                if self.tail is not None:
                    channels.adopt(self.tail)
                self.filled = channels
                self.tail = None
            return self.filled

    def take(self, key: str) -> bytes:
        """As Channels.take."""
        with _LOCK:
            tail, filled = self.tail, self.filled
            if filled is None:
                if tail is None or tail.owner.step_key != key:
                    return b""
                self.tail = None
                tail.drop()
                return _encode({tail.name: {"text": "".join(tail.tokens)}})
        return filled.take(key)

    def clear(self, key: str) -> None:
        """As Channels.clear."""
        with _LOCK:
            if self.tail is not None and self.tail.owner.step_key == key:
                self.tail.drop()
                self.tail = None
        if self.filled is not None:
            self.filled.clear(key)
