"""The signals of one turn that no wait has taken yet."""

import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple


class Signal(NamedTuple):
    """A row of the inbox that is addressed to a turn in memory."""

    inbox_id: uuid.UUID
    name: str
    payload: bytes | None


class Signals:
    """Signals by name, those of one name in the order in which they came. All but an iteration takes constant time."""

    __slots__ = ("_named",)

    def __init__(self, signals: Iterable[Signal] = ()) -> None:
        self._named: dict[str, deque[Signal]] = {}
        for each in signals:
            self.append(each)

    def __iter__(self) -> Iterator[Signal]:
        return (signal for named in self._named.values() for signal in named)

    def append(self, signal: Signal) -> None:
        """Add a signal that has come."""
        self._named.setdefault(signal.name, deque()).append(signal)

    def count(self, name: str) -> int:
        """Return how many signals of this name there are."""
        return len(self._named.get(name, ()))

    def first(self, name: str) -> Signal | None:
        """Return the signal of this name that came first, or None when there is none."""
        named = self._named.get(name)
        return named[0] if named else None

    def take(self, name: str) -> None:
        """Remove the first signal of this name."""
        named = self._named[name]
        named.popleft()
        if not named:
            del self._named[name]


# Shared by all turns that no signal was sent to, which are most. Nothing is ever added to it.
NO_SIGNALS: Final = Signals()
