"""Threads for calls that send or answer more than memory should hold: one for each call, and few in all.

A caller may be slow for minutes. One call too many is refused at once. A thread counts until its work ends, also when
its call has ended before.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from argosy.errors import GraphDeadlineError
from argosy.graph.facts import GraphRef
from argosy.shards.deadline import Deadline
from argosy.shards.fair_slots import FairSlots

T = TypeVar("T")


class StreamThreads:
    """Used on one event loop. slots: without places to wait."""

    def __init__(self, slots: FairSlots) -> None:
        self._slots = slots
        self._open: dict[Executor, Deadline] = {}

    @property
    def count(self) -> int:
        return self._slots.count

    def close(self) -> None:
        """Tell all calls to end."""
        for deadline in self._open.values():
            deadline.give_up()

    @contextlib.asynccontextmanager
    async def one(self, ref: GraphRef, deadline: Deadline) -> AsyncIterator[Executor]:
        """Give the call a thread until its end. It ends when its work does, and the tenant has it until then."""
        await self._slots.take(ref.tenant)
        thread = _Thread()
        self._open[thread] = deadline
        try:
            yield thread
        finally:
            deadline.give_up()
            thread.shutdown(wait=False)
            del self._open[thread]
            self._give_back(ref.tenant, thread.last)

    def _give_back(self, tenant: str, work: Future[Any] | None) -> None:
        """Give the slot of a call back, once its work has ended."""
        if work is None or work.done():
            self._slots.give_back(tenant)
            return
        loop = asyncio.get_running_loop()

        def ended(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(self._slots.give_back, tenant)

        work.add_done_callback(ended)


async def drawn(thread: Executor, items: Generator[T, None, None], deadline: Deadline) -> AsyncGenerator[T, None]:
    """Yield what is made in a thread, item by item as they are asked for. Raises GraphDeadlineError at the deadline."""
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(thread, next, items, None)
    try:
        while True:
            await asyncio.wait({reading}, timeout=deadline.left_s)
            if not reading.done():
                raise GraphDeadlineError("the graph could not be read to its end before the deadline")
            if (item := reading.result()) is None:
                return
            yield item
            reading = loop.run_in_executor(thread, next, items, None)
    finally:
        is_idle = reading.done()
        reading.cancel()
        closed = loop.run_in_executor(thread, items.close)  # what it reads with belongs to that thread
        if is_idle:
            await asyncio.shield(closed)


class _Thread(ThreadPoolExecutor):
    """One thread. last: what it was given last, and does last."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="shard-stream")
        self.last: Future[Any] | None = None

    def submit(self, *work: Any, **named: Any) -> Future[Any]:
        self.last = super().submit(*work, **named)
        return self.last
