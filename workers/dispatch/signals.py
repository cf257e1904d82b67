"""Signals of one turn that nobody has taken yet."""

import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Signal(NamedTuple):
    """A row of the inbox that is addressed to a turn in memory."""

    inbox_id: uuid.UUID
    name: str
    payload: bytes


class Signals:
    """By name, each name's in the order in which they came. Whatever is asked takes the same time, however many."""

    __slots__ = ("_named",)

    def __init__(self, signals: Iterable[Signal] = ()) -> None:
        self._named: dict[str, deque[Signal]] = {}
        for each in signals:
            self.append(each)

    def __iter__(self) -> Iterator[Signal]:
        return (signal for named in self._named.values() for signal in named)

    @property
    def has_any(self) -> bool:
        """Whether there is one."""
        return bool(self._named)

    def append(self, signal: Signal) -> None:
        """It has come."""
        self._named.setdefault(signal.name, deque()).append(signal)

    def count(self, name: str) -> int:
        """How many there are of this name."""
        return len(self._named.get(name, ()))

    def first(self, name: str) -> Signal | None:
        """The one of this name that came first."""
        named = self._named.get(name)
        return named[0] if named else None

    def take(self, name: str) -> None:
        """The first one of this name is taken."""
        named = self._named[name]
        named.popleft()
        if not named:
            del self._named[name]
