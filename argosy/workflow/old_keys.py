"""Keys of an older build that counted the calls of all tasks of a turn together, and which of them can be told apart.

Turns that began under such a build go on under their keys. Rules:
- The calls of the workflow itself, in line or handed to asyncio.gather and the like, have the keys that they had.
- When a task calls an operation whose outcome history has, and the workflow itself has not asked for that outcome, it
  may belong to that task or to another: the turn is parked before anything is delivered to the wrong one.
- asyncio's timers left no record then: a timer counts as over when the code goes on to ask for what history has next.
- A wait in a task goes on for what is left of the recorded one.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from argosy.turn.events import SETTLED_OUTCOMES, Event

_BEGUN: Final = SETTLED_OUTCOMES | {Event.STEP_INTENDED, Event.STEP_RETRYING}


class OldKeys:
    """The part of a history that such a build wrote."""

    __slots__ = ("_counts", "_waits", "settled")

    def __init__(self) -> None:
        self.settled: set[str] = set()
        self._counts: dict[str, tuple[int, str, bool]] = {}
        self._waits: dict[str, list[str]] = {}

    def add(self, kind: str, key: str, data: bytes) -> None:
        """Add a row of history that has a key."""
        if kind == Event.WAIT_STARTED:
            self._waits.setdefault(_name(key), []).append(key)
        if kind in SETTLED_OUTCOMES:
            self.settled.add(key)
        if kind in _BEGUN and "~" not in key:
            name, _, count = key.partition("#")
            number = int(count or 1)
            if number > self._counts.get(name, (0, "", False))[0]:
                self._counts[name] = (number, key, b'"private":' in data)

    def beyond(self, name: str, asked: int) -> tuple[str, bool] | None:
        """Return the last key of this name, and whether it is a private step's; None when the workflow itself has asked
        for it.

        asked: how many calls of this name the workflow itself has made.
        """
        found = self._counts.get(name)
        return None if found is None or found[0] <= asked else found[1:]

    def left_s(
        self, key: str, timeout_s: float | None, asked: set[str], take_timer: Callable[[str], float | None]
    ) -> float | None:
        """Return how long a wait that a task asks for takes: what is left of one that began under another key.

        asked: the keys of all that the code has asked for, to which this adds the key of the earlier wait.
        take_timer(key): ends that wait and returns what is left of it.
        """
        for before in self._waits.get(_name(key.partition("/")[2]), ()) if key[0].isdigit() else ():
            if before not in self.settled and before not in asked:
                asked.add(before)
                left_s = take_timer(before)
                return timeout_s if left_s is None or timeout_s is None else min(left_s, timeout_s)
        return timeout_s

    def timer(self, key: str, pending: Iterable[Any]) -> Any:
        """Return the timer of asyncio that was over before the outcome with this key came, or None. pending:
        operations.
        """
        if key not in self.settled:
            return None
        timers = [each for each in pending if each.timer is not None]
        return min(timers, key=lambda each: each.timeout_s, default=None)


def _name(key: str) -> str:
    return key.partition("#")[0]
