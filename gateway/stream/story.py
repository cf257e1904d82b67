"""What one client is sent, in order until it is over: first history, then what the owner sends live.

The seam: a story reads history first. Then it asks the owner, and once the owner has answered, it reads on in history.
From there the owner sends everything; what the story cannot send yet (it is not the next item, or the worker had no
room for it) it reads from Postgres. While no owner answers, the story reads history again and again. While an owner
sends nothing, the story asks Postgres at every fourth heartbeat whether there is something all the same: only so does
it find what no worker will ever send (a turn that never comes out of the log).
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from argosy import telemetry
from argosy.errors import StoreUnavailableError
from argosy.gateway.problems import Problem
from argosy.gateway.stream import points
from argosy.gateway.stream.lines import Lines
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.seam import lineage_of
from argosy.gateway.stream.subscription import Wanted
from argosy.gateway.stream.watch import Watch

POLL_S_MIN: Final = 0.25
POLL_S_MAX: Final = 1.0
_STORE_PAUSE_S: Final = 0.5
_BEATS_A_QUESTION: Final = 4  # 10,000 silent streams with a heartbeat of 15 s ask 170 times a second
# How much is taken at once: the worker gets credit for it while it is being sent to the client.
_BATCH_SIZE_BYTES_MAX: Final = 32_768

_READS = {
    why: telemetry.STREAM_READS.labels(why=why).inc for why in ("begin", "subscribed", "heard", "poll", "silence")
}


class Story(ABC):
    """What one client is sent. Call `begin` once, then `messages` once.

    heartbeat_s: after so long without a message comes a heartbeat.
    """

    def __init__(self, lines: Lines, wanted: Wanted, heartbeat_s: float) -> None:
        self._lines = lines
        self._clock = lines.clock
        self._wanted = wanted
        self._heartbeat_s = heartbeat_s
        self._watch: Watch | None = None
        self._why = "begin"
        self._heard: Any = None
        # The lineage under which the owner that answered last claimed the partition.
        self._owner_lineage = 0
        self._is_stopped = False

    @abstractmethod
    async def begin(self) -> bool:
        """Find what to send. False: the client has everything, and nothing more will come.

        Raises: Problem, StoreUnavailableError.
        """

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether nothing more will come."""

    @abstractmethod
    def _read(self) -> AsyncIterator[list[Message]]:
        """Yield messages of what history has more.

        Raises: Problem (what the client follows will never come), StoreUnavailableError, TimeoutError.
        """

    @abstractmethod
    async def _has_more(self) -> bool:
        """Whether history may have more: a cheap question, asked again and again while no owner answers, and at
        every fourth heartbeat.
        """

    @abstractmethod
    def _hear(self, item: Any, *, has_read: bool) -> list[Message] | None:
        """Return the messages of an Item; None: history must be read first. has_read: it was."""

    @abstractmethod
    def _resume(self) -> tuple[int, int]:
        """Return (attempt, n) of the last frame that was sent."""

    def stop(self) -> None:
        """Send nothing more: `messages` ends soon."""
        self._is_stopped = True
        if self._watch is not None:
            self._watch.close()

    async def messages(self) -> AsyncGenerator[list[Message]]:
        """Yield messages as they become known, several at a time; an empty list is a heartbeat.

        Ends when the story is over or stopped, and when what the client follows turns out not to exist.
        """
        told_s = polled_s = self._clock.monotonic_s()
        poll_s, beats = POLL_S_MIN, 0
        try:
            while not self._is_stopped:
                has_told = False
                if self._why:
                    async for messages in self._read_on():
                        has_told = True
                        yield messages
                    polled_s = self._clock.monotonic_s()
                    if self._is_stopped:
                        return
                if messages := self._take():
                    has_told = True
                    yield messages
                now_s = self._clock.monotonic_s()
                if has_told:
                    told_s, poll_s, beats = now_s, POLL_S_MIN, 0
                elif now_s - told_s >= self._heartbeat_s:
                    told_s, beats = now_s, beats + 1
                    yield []
                    is_asked = not self._why and beats % _BEATS_A_QUESTION == 0 and self._watching().is_live
                    if is_asked and await self._has_more():
                        self._why = "silence"
                if self.is_over:
                    return
                if not self._why:
                    due_s = told_s + self._heartbeat_s
                    is_live = self._watching().is_live
                    if not is_live:
                        due_s = min(due_s, polled_s + poll_s)
                    has_news = await self._watching().wait(max(due_s - now_s, 0.0))
                    if not has_news and not is_live and self._clock.monotonic_s() >= polled_s + poll_s:
                        polled_s, poll_s = self._clock.monotonic_s(), min(poll_s * 1.5, POLL_S_MAX)
                        if await self._has_more():
                            self._why = "poll"
        except Problem:
            return  # what the client follows will never come
        finally:
            self.stop()

    async def _read_on(self) -> AsyncIterator[list[Message]]:
        """Yield what history has more, then the messages of the item that had to wait for it."""
        _READS[self._why]()
        if self._why == "subscribed":
            await points.reach("subscribed")
        try:
            async for messages in self._read():
                yield messages
        except (StoreUnavailableError, TimeoutError):
            await self._clock.sleep(_STORE_PAUSE_S)
            return
        self._why = ""
        heard, self._heard = self._heard, None
        stands = heard is not None and self._watching().has_taken and not self.is_over
        if stands and (told := self._hear(heard, has_read=True)):
            yield told
        await points.reach("caught_up")

    def _take(self) -> list[Message]:
        """Return the messages of items that can be sent now. Sets `_why` if history must be read first."""
        messages: list[Message] = []
        size_bytes = 0
        watch = self._watching()
        while not self._why and not self.is_over and size_bytes < _BATCH_SIZE_BYTES_MAX:
            item = watch.take()
            if item is None:
                break
            if item.WhichOneof("what") == "subscribed":
                self._why = "subscribed"
                self._owner_lineage = lineage_of(item.subscribed.epoch)
                break
            told = self._hear(item, has_read=False)
            if told is None:
                self._why, self._heard = "heard", item
                break
            messages += told
            size_bytes += sum(len(each.data) for each in told)
        return messages

    def _watching(self) -> Watch:
        if self._watch is None:
            self._watch = Watch(self._lines, self._wanted, self._resume)
            if not self._is_stopped and not self.is_over:
                self._watch.open()
        return self._watch

    def _watch_other(self, wanted: Wanted) -> None:
        """Follow something else from here on."""
        self._wanted = wanted
        if self._watch is not None:
            self._watch.close()
            self._watch = None
