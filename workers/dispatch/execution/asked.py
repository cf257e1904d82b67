"""What the code has asked of its history, and what it has not yet."""

import asyncio
from collections.abc import Iterable
from typing import Any

from argosy.workers.dispatch.waits import mismatch
from argosy.workflow.journal import Park, Recorded
from argosy.workflow.replay import Replay

_GRACE_S = 0.25


class Asked:
    """The replay of one attempt. Concurrent branches may ask in another order than their outcomes were recorded in, so
    `until_all` gives them a moment. A private step is named to nobody: `hide` says which are.
    """

    __slots__ = ("_hidden", "_waiters", "replay")

    def __init__(self, history: Iterable[Any]) -> None:
        self.replay = Replay(history)
        self._waiters: list[asyncio.Future[None]] = []
        self._hidden: frozenset[str] = frozenset()

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
            if parted := self.parted(key):
                raise parted from None

    def parted(self, *wanted: str) -> Park | None:
        """Why the turn cannot go on while history has an outcome that nobody asks for, or None. wanted: keys that the
        code asks for instead.
        """
        first = next(iter(self.replay.unasked()), None)
        return None if first is None else mismatch(self._name_of(first), [self._name_of(key) for key in wanted])

    def hide(self, key: str) -> None:
        self._hidden |= {key}

    def is_hidden(self, key: str) -> bool:
        """Whether it is the key of a private step, or of the wait between two of its tries."""
        return bool(self._hidden) and (key in self._hidden or key.rpartition("~")[0] in self._hidden)

    def _name_of(self, key: str) -> str:
        return "a private step" if self.is_hidden(key) or self.replay.is_private(key) else repr(key)
