"""Runs membership in the Postgres log in a thread with an event loop of its own.

So user code that blocks the worker's loop for longer than a lease does not cost the worker its partitions. (For Kafka,
the consumer's thread does the same.)
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from argosy.logs.postgres_member import OnRound, PostgresMember

_STOP_S: Final = 5.0


class MemberThread:
    """A member in a thread of its own, from `start` to `stop`.

    Both are called on one loop, on which on_round and on_lost are called, too. make(on_round, on_lost) makes the
    member, in the thread. on_lost: the member's connection has ended, and its lock with it.
    """

    def __init__(
        self,
        make: Callable[[OnRound, Callable[[], None]], PostgresMember],
        on_round: OnRound,
        on_lost: Callable[[], None],
    ) -> None:
        self._make = make
        self._on_round = on_round
        self._on_lost = on_lost
        self._owner: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._member: PostgresMember | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_running = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="postgres-log-member", daemon=True
        )

    async def start(self) -> None:
        self._owner = asyncio.get_running_loop()
        self._thread.start()
        await asyncio.to_thread(self._is_running.wait, _STOP_S)

    async def pause(self) -> None:
        """Leave the group until `resume` is called."""
        if self._member is not None:
            await self._call(self._member.pause())

    def resume(self) -> None:
        if self._member is not None:
            self._member.resume()

    async def stop(self) -> None:
        """Leave the group and end the thread, within a bounded time. A second call does nothing."""
        member, self._member = self._member, None
        if member is None:
            return
        await self._call(member.leave())
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        await asyncio.to_thread(self._thread.join, _STOP_S)

    async def _call(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            work.close()
            return
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await asyncio.wrap_future(future)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._member = self._make(partial(self._tell, self._on_round), partial(self._tell, self._on_lost))
        self._task = asyncio.create_task(self._member.run())
        self._is_running.set()
        await asyncio.wait({self._task})

    def _tell(self, listener: Callable[..., None], *what: Any) -> None:
        if self._owner is not None:
            with contextlib.suppress(RuntimeError):  # the worker's loop has ended
                self._owner.call_soon_threadsafe(listener, *what)
