"""What waits to be written to one graph, how much may, and the threads that write it."""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from argosy.graph.facts import Applied
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Batch
from argosy.shards.fair_slots import FairSlots


class WriteBounds(NamedTuple):
    """Bounds of writes. threads: commit at once. count_max, graph_size_bytes_max: of the batches that wait for one
    graph; size_bytes_max: for all graphs. feed_yield_s: for which a feed makes way for nobody. feed_nice: by how much
    the threads of feeds yield to others on the machine.
    """

    threads: int
    count_max: int
    graph_size_bytes_max: int
    size_bytes_max: int
    feed_yield_s: float
    feed_nice: int


class Write(NamedTuple):
    batch: Batch
    size_bytes: int
    deadline: Deadline
    answer: "asyncio.Future[Applied]"

    def end(self, outcome: Applied | Exception) -> None:
        """Tell whoever waits, unless they have given up."""
        if self.answer.done():
            return
        if isinstance(outcome, Applied):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


class Queue:
    """What waits to be written to one graph. lock: held by whoever writes. commit: of a group that is under way.

    users: those who write alone, or wait to; feeds: of these, those who bring lines of a feed. feeding: held by the one
    of them whose turn among all others it is. settling: those who wait for a commit to ask for what it writes.
    """

    def __init__(self) -> None:
        self.waiting: deque[Write] = deque()
        self.size_bytes = 0
        self.lock = asyncio.Lock()
        self.feeding = asyncio.Lock()
        self.users = self.feeds = self.settling = 0
        self.is_worked_at = False
        self.commit: asyncio.Future[None] | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether others wait for whoever writes alone now."""
        return bool(self.waiting) or self.users > 1

    @property
    def feed_makes_way(self) -> bool:
        """Whether others than feeds wait for the feed that is written now."""
        return bool(self.waiting) or self.users > self.feeds or self.settling > 0

    def use(self, count: int, *, is_feed: bool) -> None:
        """Count so many more who write alone, or wait to."""
        self.users += count
        self.feeds += count if is_feed else 0

    async def settled(self, deadline: Deadline) -> bool:
        """Wait for the commit that is under way, if one is; return whether it ended before the deadline."""
        if (commit := self.commit) is None:
            return True
        self.settling += 1
        try:
            await asyncio.wait({commit}, timeout=deadline.left_s)
        finally:
            self.settling -= 1
        return commit.done()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Have others know, until this ends, that what may be durable already is not told to the graph's view yet."""
        self.commit = committed = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            self.commit = None
            committed.set_result(None)


def running_threads(count: int, name: str, nice: int = 0) -> ThreadPoolExecutor:
    """Return a pool whose threads run already. A pool that starts one for a commit may fail at that, and have another
    thread do the commit later all the same, beside those that follow. nice: by how much they yield to others.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix=f"shard-{name}", initializer=_lower, initargs=(nice,))
    all_run = threading.Event()
    try:
        for _ in range(count):
            pool.submit(all_run.wait)
    finally:
        all_run.set()
    return pool


def write_slots(count: int) -> FairSlots:
    """Return slots of the threads. A commit is short, so one tenant may have all. What waits is bounded by queues."""
    return FairSlots("writes", count, waiting_max=sys.maxsize, bound="SHARD_WRITE_THREADS", share=count)


def _lower(nice: int) -> None:
    if nice and sys.platform == "linux":  # elsewhere only whole processes have a priority
        os.nice(nice)
