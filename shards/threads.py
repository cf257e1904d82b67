"""Work that would hold up the event loop: a bounded number of threads, with a bounded number of calls that wait."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from argosy.errors import GraphDeadlineError, ShardBusyError
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Interrupt

T = TypeVar("T")

_END_S: Final = 5.0  # for work that is under way at the end: it asks its deadline, which says that nobody waits


class Threads:
    """Threads of one kind, by name. Used on one event loop."""

    def __init__(self, name: str, count: int, *, waiting_max: int) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=f"shard-{name}")
        self._max = count + waiting_max
        self._lock = threading.Lock()
        self._under_way: dict[Future[Any], Deadline] = {}

    @property
    def count(self) -> int:
        """The calls that are worked at, or wait for a thread."""
        return len(self._under_way)

    async def run(self, work: Callable[[Interrupt], T], deadline: Deadline) -> T:
        """Return what `work` returns, in a thread; it is told when it has to stop. Raises GraphDeadlineError at the
        deadline, whatever the thread does, and ShardBusyError at once when too many calls wait already.
        """
        if self.count >= self._max:
            raise ShardBusyError(f"this shard has {self.count} calls for its {self._name} threads: no more fit")
        stop = deadline.within()
        submitted = self._pool.submit(_begin, work, stop)
        with self._lock:
            self._under_way[submitted] = stop
        submitted.add_done_callback(self._forget)
        future = asyncio.wrap_future(submitted)
        try:
            await asyncio.wait({future}, timeout=deadline.left_s)
            if not future.done():
                raise GraphDeadlineError("the call took longer than its deadline")
            return future.result()
        finally:
            stop.give_up()
            future.cancel()  # takes it out of the queue, if no thread has begun it

    async def close(self) -> None:
        """Tell all work to stop, and wait for it, in bounded time."""
        with self._lock:
            under_way = dict(self._under_way)
        for submitted, deadline in under_way.items():
            deadline.give_up()
            submitted.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        left = [asyncio.wrap_future(each) for each in under_way if not each.done()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await asyncio.gather(*left, return_exceptions=True)

    def _forget(self, submitted: Future[Any]) -> None:
        with self._lock:
            self._under_way.pop(submitted, None)


def _begin(work: Callable[[Interrupt], T], stop: Interrupt) -> T:
    if stop():
        raise GraphDeadlineError("the call waited for a thread until its deadline")
    return work(stop)
