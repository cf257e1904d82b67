"""What the code has asked of its history, and what it has not yet."""

import asyncio
from collections.abc import Iterable
from typing import Any

from argosy.workflow.journal import Recorded
from argosy.workflow.replay import Replay
from workers.dispatch.waits import mismatch

_GRACE_S = 0.25


class Asked:
    """The replay of one attempt. Concurrent branches may ask in another order than their outcomes were recorded in, so
    `until_all` gives them a moment.
    """

    __slots__ = ("_waiters", "replay")

    def __init__(self, history: Iterable[Any]) -> None:
        self.replay = Replay(history)
        self._waiters: list[asyncio.Future[None]] = []

    def recorded(self, key: str) -> Recorded | None:
        found = self.replay.recorded(key)
        if self._waiters and not self.replay.unasked():
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()
        return found

    async def until_all(self, key: str) -> None:
        """Returns when the code has asked for every key that history has; key: what it wants to begin. Raises Park."""
        if not self.replay.unasked():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(_GRACE_S):
                await waiter
        except TimeoutError:
            first = next(iter(self.replay.unasked()), None)
            if first is not None:
                raise mismatch(first, key) from None
