"""One attempt of a turn, for as long as its code runs: what is under way in it, and what it has emitted.

Rule: the first text has no Channels. Most steps fill one channel and nobody watches: then the list of its tokens is all
there is, and goes into the event that ends the step. Whoever needs Channels (a watcher who comes, anything else that is
emitted) calls `reveal`, and they go on with that same list.
"""

import asyncio
import threading
from typing import Any

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.channels import Channels
from argosy.workflow.emitted import check_name
from argosy.workflow.info import PrivateStepInfo, StepInfo
from argosy.workflow.journal import Journal
from argosy.workflow.tail import Tail

_encode = msgspec.json.Encoder().encode

# Of all attempts: it is held for a few statements, and a lock for each would cost a turn more than that.
_LOCK = threading.Lock()


class OpenAttempt:
    """argosy.workflow.emit.Attempt. Changed on the event loop only, but for what emits use: that is from any thread.

    operations: under way, by key; failed_tries: of steps, by key. tail: a text that has no Channels; filled: the
    Channels. Nothing is in both.
    """

    __slots__ = ("_journal", "failed_tries", "filled", "is_closed", "operations", "tail")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.operations: dict[str, asyncio.Task[Any] | None] = {}
        self.failed_tries: dict[str, int] = {}
        self.tail: Tail | None = None
        self.filled: Channels | None = None
        self.is_closed = False

    def begin(self, info: StepInfo, name: str, text: str) -> bool:
        """Fill the first text. False: it takes Channels. Raises WorkflowError."""
        self._check(info)
        journal = self._journal
        room = journal.bounds.room - len(text)
        if room < 0 or not text.isascii() or info.__class__ is PrivateStepInfo:
            return False
        check_name(name)
        numbered = journal.numbered
        with _LOCK:
            if self.filled is not None or self.tail is not None:
                return False
            self.tail = Tail(info, info.step_key, info.try_number, name, [text], room, numbered.seq, numbered)
        # Whoever begins to watch from now on finds it; who did before is asked for here.
        if journal.announce(self) and (listener := self.reveal().listener) is not None:
            listener()
        return True

    def channels(self, info: StepInfo | None) -> Channels | None:
        self._check(info)
        return None if info.__class__ is PrivateStepInfo else self.filled or self.reveal()

    def reveal(self) -> Channels:
        """The Channels, with all that was emitted. From any thread."""
        with _LOCK:
            if self.filled is None:
                channels = self._journal.channels()
                if self.tail is not None:
                    channels.adopt(self.tail)
                # Emits look here first: they find a tail in one place or the other.
                self.filled = channels
                self.tail = None
            return self.filled

    def take(self, key: str) -> bytes:
        """As Channels.take."""
        with _LOCK:
            tail, filled = self.tail, self.filled
            if filled is None:
                if tail is None or tail.step != key:
                    return b""
                self.tail = None
                return _encode({tail.name: {"text": "".join(tail.tokens)}})
        return filled.take(key)

    def clear(self, key: str) -> None:
        """As Channels.clear."""
        with _LOCK:
            if self.tail is not None and self.tail.step == key:
                self.tail = None
        if self.filled is not None:
            self.filled.clear(key)

    def _check(self, info: StepInfo | None) -> None:
        if self.is_closed:
            raise WorkflowError("the workflow has ended: nothing of it emits any more")
        if info is not None:
            key = info.step_key
            if key not in self.operations or info.try_number <= self.failed_tries.get(key, 0):
                raise WorkflowError(f"this try of step {key!r} is over: it emits no more")
