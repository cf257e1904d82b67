"""Tasks of a worker: its loops, which end before the process only when it must end, and those in the background."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from argosy.clock import Clock
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of


async def first(until: Coroutine[Any, Any, Any], *tasks: "asyncio.Task[None]") -> None:
    """Wait until `until` returns. A task that ends before has met a bug or lost what it needs: its error is raised."""
    waiter = asyncio.create_task(until)
    done, _ = await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    for task in done:
        task.result()


class Background:
    """Tasks that no code awaits. Their errors are logged; `run` raises one that must end the process (Fault.END)."""

    def __init__(self, clock: Clock) -> None:
        self._rounds = Rounds("background", clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def run(self) -> None:
        """Wait until a task fails in a way that must end the process, then raise its error."""
        await self._failed

    async def until_idle(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, Exception) and fault_of(error) is not Fault.END:
            self._rounds.say(error, task=getattr(task.get_coro(), "__qualname__", ""))
        elif not self._failed.done():
            self._failed.set_exception(error)
