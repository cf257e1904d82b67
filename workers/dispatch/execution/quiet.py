"""When nothing but waits is left of a running turn: then it can be suspended."""

import asyncio
from collections.abc import Callable

_PASSES = 6  # a woken coroutine needs one pass of the loop, under nested gathers a few more


class Quiet:
    """Watches one turn's operations. on_quiet is called once no operation is active and nothing happened for a few
    passes of the loop, while `may_rest` holds.
    """

    __slots__ = ("_activity", "_may_rest", "_on_quiet", "active")

    def __init__(self, may_rest: Callable[[], bool], on_quiet: Callable[[], None]) -> None:
        self._may_rest = may_rest
        self._on_quiet = on_quiet
        self._activity = 0
        # Keys of operations that are under way.
        self.active: set[str] = set()

    def stir(self) -> None:
        """The code did something."""
        self._activity += 1

    def begin(self, key: str) -> None:
        self.active.add(key)

    def end(self, key: str) -> None:
        self.active.discard(key)
        self._activity += 1
        self.look()

    def close(self) -> None:
        """Nothing more is asked."""
        self._may_rest = _never
        self._on_quiet = _nothing

    def look(self) -> None:
        """Ask on_quiet once it stays quiet."""
        if self.active or not self._may_rest():
            return
        asyncio.get_running_loop().call_soon(self._again, self._activity, _PASSES)

    def _again(self, seen: int, passes: int) -> None:
        if self._activity != seen or self.active or not self._may_rest():
            return
        if passes > 1:
            asyncio.get_running_loop().call_soon(self._again, seen, passes - 1)
        else:
            self._on_quiet()


def _never() -> bool:
    return False


def _nothing() -> None:
    pass
