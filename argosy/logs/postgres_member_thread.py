"""Runs membership in the Postgres log in a thread with an event loop of its own.

So user code that blocks the worker's loop for longer than a lease does not cost the worker its partitions. (For Kafka,
the consumer's thread does the same.)
"""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final

from argosy.logs.postgres_member import MemberListener, PostgresMember

_STOP_S: Final = 5.0  # more than a member takes to leave (_LEAVE_TIMEOUT_S)


class MemberThread:
    """A member in a thread of its own, from `start` to `stop`.

    Both are called on one loop, on which the listener is told, too. make(self) makes the member, in the thread: what
    the member tells there is passed on to the listener.
    """

    def __init__(self, make: Callable[[MemberListener], PostgresMember], listener: MemberListener) -> None:
        self._make = make
        self._listener = listener
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

    # What the member tells, in the thread

    def round_ran(self, topic_id: uuid.UUID | None, partitions: frozenset[int], asked_at_s: float) -> None:
        self._tell(self._listener.round_ran, topic_id, partitions, asked_at_s)

    def connection_lost(self) -> None:
        self._tell(self._listener.connection_lost)

    def _tell(self, listener: Callable[..., None], *what: Any) -> None:
        if self._owner is not None:
            with contextlib.suppress(RuntimeError):  # the worker's loop has ended
                self._owner.call_soon_threadsafe(listener, *what)

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
        self._member = self._make(self)
        self._task = asyncio.create_task(self._member.run())
        self._is_running.set()
        await asyncio.wait({self._task})
