"""What waits to be written to one graph, how much may, and the threads that write it."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from argosy.graph.facts import Applied
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Batch


class WriteBounds(NamedTuple):
    """Bounds of writes. threads: commit at once. count_max, graph_size_bytes_max: of the batches that wait for one
    graph; size_bytes_max: for all graphs.
    """

    threads: int
    count_max: int
    graph_size_bytes_max: int
    size_bytes_max: int


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
    """What waits to be written to one graph. lock: held by whoever writes. commit: of a group that is under way."""

    def __init__(self) -> None:
        self.waiting: deque[Write] = deque()
        self.size_bytes = 0
        self.lock = asyncio.Lock()
        self.users = 0
        self.is_worked_at = False
        self.commit: asyncio.Future[None] | None = None

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Have others know, until this ends, that what may be durable already is not told to the graph's view yet."""
        self.commit = committed = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            self.commit = None
            committed.set_result(None)


def running_threads(count: int) -> ThreadPoolExecutor:
    """Return a pool whose threads run already. A pool that starts one for a commit may fail at that, and have another
    thread do the commit later all the same, beside those that follow.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="shard-write")
    all_run = threading.Event()
    try:
        for _ in range(count):
            pool.submit(all_run.wait)
    finally:
        all_run.set()
    return pool
