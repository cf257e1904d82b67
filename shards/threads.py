"""Work that would hold up the event loop: a bounded number of threads, which tenants share fairly (fair_slots.py), with
a bounded number of calls that wait.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from argosy.errors import GraphDeadlineError
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Interrupt
from argosy.shards.fair_slots import FairSlots

T = TypeVar("T")

_END_S: Final = 5.0  # for work that is under way at the end: it asks its deadline, which says that nobody waits


class Threads:
    """Threads of one kind, by name. bound: the setting that says how many calls may wait. Used on one event loop."""

    def __init__(self, name: str, count: int, *, waiting_max: int, bound: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=f"shard-{name}")
        self._slots = FairSlots(f"{name}s", count, waiting_max=waiting_max, bound=bound)
        self._lock = threading.Lock()
        self._under_way: dict[Future[Any], Deadline] = {}

    @property
    def count(self) -> int:
        """The calls that are worked at, or wait for a thread."""
        return self._slots.count

    async def run(self, tenant: str, work: Callable[[Interrupt], T], deadline: Deadline) -> T:
        """Return what `work` returns, in a thread, for a tenant; it is told when it has to stop. Raises
        GraphDeadlineError at the deadline, whatever the thread does, and ShardBusyError at once if too many calls wait.
        """
        await self._wait_for_thread(tenant, deadline)
        stop = deadline.within()
        future = asyncio.wrap_future(self._begin(tenant, work, stop))
        try:
            await asyncio.wait({future}, timeout=deadline.left_s)
            if not future.done():
                raise GraphDeadlineError("the call took longer than its deadline")
            return future.result()
        finally:
            stop.give_up()
            future.cancel()  # nobody asks what becomes of it

    async def close(self) -> None:
        """Tell all work to stop, and wait for it, in bounded time."""
        self._slots.close()
        with self._lock:
            under_way = dict(self._under_way)
        for deadline in under_way.values():
            deadline.give_up()
        self._pool.shutdown(wait=False)
        left = [asyncio.wrap_future(each) for each in under_way if not each.done()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await asyncio.gather(*left, return_exceptions=True)

    async def _wait_for_thread(self, tenant: str, deadline: Deadline) -> None:
        try:
            async with asyncio.timeout(deadline.left_s):
                await self._slots.take(tenant)
        except TimeoutError:
            raise GraphDeadlineError("the call waited for a thread until its deadline") from None

    def _begin(self, tenant: str, work: Callable[[Interrupt], T], stop: Deadline) -> Future[T]:
        """Have a thread do the work. The tenant has it until the work ends, however long after the call."""
        loop = asyncio.get_running_loop()

        def ended(submitted: Future[T]) -> None:
            with self._lock:
                del self._under_way[submitted]
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(self._slots.give_back, tenant)

        try:
            submitted = self._pool.submit(_unless_over, work, stop)
        except BaseException:  # the system has no more threads
            stop.give_up()
            self._slots.give_back(tenant)
            raise
        with self._lock:
            self._under_way[submitted] = stop
        submitted.add_done_callback(ended)
        return submitted


def _unless_over(work: Callable[[Interrupt], T], stop: Interrupt) -> T:
    if stop():
        raise GraphDeadlineError("the call was over before a thread began it")
    return work(stop)
