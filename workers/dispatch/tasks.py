"""The loops of a worker: none of them ends before the process does, unless something is lost."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from argosy.clock import Clock
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of


async def first(until: Coroutine[Any, Any, Any], *tasks: "asyncio.Task[None]") -> None:
    """Until `until` returns; a task that ends before is a bug or a lost cause, and its error is raised."""
    waiter = asyncio.create_task(until)
    done, _ = await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    for task in done:
        task.result()


class Background:
    """Tasks that nobody awaits. An error of one is said; one that must end the process does, by `run`."""

    def __init__(self, clock: Clock) -> None:
        self._rounds = Rounds("background", clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def run(self) -> None:
        """Until cancelled, or until one of them fails in a way that must end the process. Raises its error."""
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
