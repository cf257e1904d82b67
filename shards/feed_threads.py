"""The threads that write lines of feeds, and whose turn it is.

Rules:
- They are one fewer than the threads that write at once, if these are several: a batch of lines takes long, and other
  graphs are written to meanwhile. They yield to others on the machine.
- Of the feeds of a graph one at a time waits among others who write to it. So these wait for one of them at the most,
  and a feed for one group of batches, however much comes of either.
- A feed waits for a thread first, which feeds of other graphs may have, and for the graph then: writes to the graph do
  not wait for those. But where somebody has the graph alone, such as a load, it is the other way round: else feeds of
  other graphs would wait for that.
- After SHARD_FEED_YIELD_S a feed makes way when others wait, for the graph or for its commit.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from argosy.clock import Clock
from argosy.shards.engine import Interrupt
from argosy.shards.fair_slots import FairSlots
from argosy.shards.write_queue import Queue, WriteBounds, running_threads, write_slots

T = TypeVar("T")


class FeedThreads:
    """Used on one event loop. slots: of all who write."""

    def __init__(self, bounds: WriteBounds, slots: FairSlots, clock: Clock) -> None:
        count = max(1, bounds.threads - 1)
        self._clock = clock
        self._yield_s = bounds.feed_yield_s
        self._all_slots = slots
        self._slots = write_slots(count)
        self.pool = running_threads(count, "feed", bounds.feed_nice)

    @contextlib.asynccontextmanager
    async def held(self, queue: Queue, tenant: str) -> AsyncIterator[None]:
        """Have a graph and a thread for a feed."""
        async with queue.feeding:
            async with self._slots.held(tenant):
                if queue.users == queue.feeds:  # whoever has the graph, or comes before, has it for one group
                    async with queue.lock, self._all_slots.held(tenant):
                        yield
                    return
            async with queue.lock, self._slots.held(tenant), self._all_slots.held(tenant):
                yield

    def call(self, queue: Queue, work: Callable[[Interrupt], T]) -> T:
        """Do work for a feed, in a thread: it is told when it is to make way."""
        until_s = self._clock.monotonic_s() + self._yield_s
        return work(lambda: queue.feed_makes_way and self._clock.monotonic_s() >= until_s)

    def close(self) -> None:
        self._slots.close()
        self.pool.shutdown(wait=False, cancel_futures=True)
