"""What one client is sent, in order until it is over: first history, then what the owner sends live.

How the two are joined: a stream reads history first. Then it asks the owner, and once the owner has answered, it reads
on in history. From there the owner sends everything; what the stream cannot send yet (it is not the next item, or the
worker had no room for it) it reads from Postgres. While no owner answers, the stream reads history again and again.
While an owner sends nothing, the stream asks Postgres at every fourth heartbeat whether there is something all the
same: only so does it find what no worker will ever send (a turn that never comes out of the log).
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from argosy import telemetry
from argosy.errors import StoreUnavailableError
from argosy.gateway.problems import Problem
from argosy.gateway.stream import sync_points
from argosy.gateway.stream.connections import WorkerConnections
from argosy.gateway.stream.follower import Follower
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.source import Reading, ReadReason, Source, Then
from argosy.gateway.stream.unfollowed import Unfollowed
from argosy.lineage import lineage_of

POLL_S_MIN: Final = 0.25  # while no owner answers; each time half as long again
POLL_S_MAX: Final = 1.0  # a client sees what happens within a second all the same
_STORE_PAUSE_S: Final = 0.5  # Postgres may be back at any moment
_BEATS_A_QUESTION: Final = 4  # 10,000 silent streams with a heartbeat of 15 s ask 170 times a second
# How much is taken at once: the worker gets credit for it while it is being sent to the client.
_BATCH_SIZE_BYTES_MAX: Final = 32_768

_READS: Final = {reason: telemetry.STREAM_READS.labels(why=reason.value).inc for reason in ReadReason}


class Stream:
    """What one client is sent from a source. Call `begin` once, then `messages` once.

    heartbeat_s: after so long without a message comes a heartbeat.
    """

    def __init__(self, connections: WorkerConnections, source: Source, heartbeat_s: float) -> None:
        self._connections = connections
        self._clock = connections.clock
        self._source = source
        self._heartbeat_s = heartbeat_s
        self._target = source.target
        self._follower: Follower | Unfollowed | None = None
        self._reading: Reading | None = Reading(ReadReason.BEGIN)
        # The item that is received again once history was read.
        self._item: Any = None
        self._is_stopped = False

    async def begin(self) -> bool:
        """Find what to send. False: the client has everything, and nothing more will come.

        Raises: Problem, StoreUnavailableError.
        """
        if await self._source.find():
            self._following()
        return await self._source.begin()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._source.is_over

    def stop(self) -> None:
        """Send nothing more: `messages` ends soon."""
        self._is_stopped = True
        if self._follower is not None:
            self._follower.close()

    async def messages(self) -> AsyncGenerator[list[Message]]:
        """Yield messages as they become known, several at a time; an empty list is a heartbeat.

        Ends when the stream is over or stopped, and when what the client follows turns out not to exist.
        """
        sent_s = polled_s = self._clock.monotonic_s()
        poll_s, beats = POLL_S_MIN, 0
        try:
            while not self._is_stopped:
                has_sent = False
                if self._reading is not None:
                    async for messages in self._read_on(self._reading):
                        has_sent = True
                        yield messages
                    polled_s = self._clock.monotonic_s()
                    if self._is_stopped:
                        return
                if messages := self._take():
                    has_sent = True
                    yield messages
                now_s = self._clock.monotonic_s()
                if has_sent:
                    sent_s, poll_s, beats = now_s, POLL_S_MIN, 0
                elif now_s - sent_s >= self._heartbeat_s:
                    sent_s, beats = now_s, beats + 1
                    yield []
                    is_asked = self._reading is None and beats % _BEATS_A_QUESTION == 0 and self._following().is_live
                    if is_asked and await self._source.has_more():
                        self._reading = Reading(ReadReason.SILENCE)
                if self.is_over:
                    return
                if self._reading is None:
                    due_s = sent_s + self._heartbeat_s
                    is_live = self._following().is_live
                    if not is_live:
                        due_s = min(due_s, polled_s + poll_s)
                    has_news = await self._following().wait(max(due_s - now_s, 0.0))
                    if not has_news and not is_live and self._clock.monotonic_s() >= polled_s + poll_s:
                        polled_s, poll_s = self._clock.monotonic_s(), min(poll_s * 1.5, POLL_S_MAX)
                        if await self._source.has_more():
                            self._reading = Reading(ReadReason.POLL)
        except Problem:
            return  # what the client follows will never come
        finally:
            self.stop()

    async def _read_on(self, reading: Reading) -> AsyncIterator[list[Message]]:
        """Yield what history has more, then the messages of the item that had to wait for it."""
        _READS[reading.reason]()
        if reading.reason is ReadReason.SUBSCRIBED:
            await sync_points.reach("subscribed")
        try:
            async for messages in self._source.read(reading):
                yield messages
        except (StoreUnavailableError, TimeoutError):
            await self._clock.sleep(_STORE_PAUSE_S)
            return
        self._reading = None
        item, self._item = self._item, None
        stands = item is not None and self._following().has_taken and not self.is_over
        if stands and (messages := self._receive(item, has_read=True)):
            yield messages
        await sync_points.reach("caught_up")

    def _take(self) -> list[Message]:
        """Return the messages of items that can be sent now. Sets `_reading` if history must be read first."""
        messages: list[Message] = []
        size_bytes = 0
        follower, source = self._following(), self._source
        while self._reading is None and not source.is_over and size_bytes < _BATCH_SIZE_BYTES_MAX:
            item = follower.take()
            if item is None:
                break
            if item.WhichOneof("what") == "subscribed":
                self._reading = Reading(ReadReason.SUBSCRIBED, lineage_of(item.subscribed.epoch))
                break
            new = self._receive(item, has_read=False)
            messages += new
            size_bytes += sum(len(each.data) for each in new)
        return messages

    def _receive(self, item: Any, *, has_read: bool) -> list[Message]:
        """Give an item to the source, and return its messages. Sets `_reading` if history must be read then."""
        messages, then = self._source.receive(item, has_read=has_read)
        if then is Then.GO_ON:
            return messages
        if then is Then.READ:
            self._reading = Reading(ReadReason.ITEM)
        else:
            self._reading, self._item = Reading(ReadReason.ITEM, _lineage(item)), item
        return messages

    def _following(self) -> Follower | Unfollowed:
        """Return the follower of the source's target; make it the first time, and when the target has changed."""
        if self._target is not self._source.target:
            self._target = self._source.target
            if self._follower is not None:
                self._follower.close()
                self._follower = None
        if self._follower is None:
            if self._target is None:
                self._follower = Unfollowed()
            else:
                self._follower = Follower(self._connections, self._target, self._source)
            if not self._is_stopped and not self.is_over:
                self._follower.open()
        return self._follower


def _lineage(item: Any) -> int:
    """Return the lineage of what an Item shows; 0: a Look shows nothing."""
    field = item.WhichOneof("what")
    return 0 if field == "look" else int(getattr(item, field).lineage)
