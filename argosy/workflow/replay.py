"""A turn's history as the code that runs again gets it: pure.

Promise: the outcomes that the code awaits are delivered one by one, in the order in which they were recorded (`next`);
what is recorded under a key is found in the same time, however long the history.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from argosy.turn.events import BEGINNINGS, KEYS, SETTLED_OUTCOMES, Event
from argosy.workflow.keys import CANCEL, is_awaited
from argosy.workflow.old_keys import OldKeys

UNCERTAIN_EFFECT: Final = "uncertain_effect"  # the reason with which a turn parks over an at_most_once step

_SETTLED: Final = {event.value: event for event in SETTLED_OUTCOMES}

# (seq, attempt, type, key, data), in the order of seq.
Row = tuple[int, int, str, str, bytes]


class Recorded(NamedTuple):
    """A settled outcome of history: one of SETTLED_OUTCOMES, or turn.cancelling, and its data (JSON bytes)."""

    type: Event
    data: bytes


class _Marked(msgspec.Struct):
    private: Any = None


class Replay:
    """The history that an attempt begins with. What the attempt records itself is not added: no key is asked twice.
    old: what of it has keys of another kind.
    """

    __slots__ = ("_intended", "_order", "_settled", "_started", "_tries", "next", "old")

    def __init__(self, events: Iterable[Row] | Iterable[Any]) -> None:
        """events: history rows (seq, attempt, type, key, data). Types that are not known here are passed over."""
        self._settled: dict[str, Recorded] = {}
        self._tries: dict[str, int] = {}
        self._intended: dict[str, None] = {}
        self._started: dict[str, bytes] = {}
        self.old: OldKeys | None = None
        is_old = False
        for _seq, _attempt, kind, key, data in events:
            if is_old and key and self.old is not None:
                self.old.add(kind, key, data)
            if (settled := _SETTLED.get(kind)) is not None:
                self._settled.setdefault(key, Recorded(settled, data))
                self._started.pop(key, None)
                self._intended.pop(key, None)
            elif kind == Event.WAIT_STARTED:
                self._started.setdefault(key, data)
            elif kind == Event.STEP_RETRYING:
                self._tries[key] = self._tries.get(key, 0) + 1
                self._intended.pop(key, None)  # it failed, so its outcome is known
            elif kind == Event.STEP_INTENDED:
                self._intended[key] = None
            elif kind == Event.TURN_CANCELLING:
                self._settled.setdefault(CANCEL, Recorded(Event.TURN_CANCELLING, data))
            elif kind == Event.TURN_PARKED:
                self._parked(key, data)
            elif kind in BEGINNINGS and (is_old := not data.endswith(KEYS)):
                self.old = self.old or OldKeys()
        self._order = iter([key for key in self._settled if is_awaited(key)])
        # The key of the outcome that is to be delivered next; None: all were.
        self.next: str | None = next(self._order, None)

    def _parked(self, key: str, data: bytes) -> None:
        """A turn that goes on after it was parked over an uncertain effect was told to by an operator: the step may run
        again. key: of that step; empty: it is not known which, so every one.
        """
        if msgspec.json.decode(data).get("reason") == UNCERTAIN_EFFECT:
            if key:
                self._intended.pop(key, None)
            else:
                self._intended.clear()

    def take(self) -> Recorded:
        """The outcome that is next; the one after it is, then."""
        found = self._settled[self.next]  # type: ignore[index]
        self.next = next(self._order, None)
        return found

    def recorded(self, key: str) -> Recorded | None:
        """The outcome under a key, delivered or not."""
        return self._settled.get(key)

    def is_settled(self, key: str) -> bool:
        """Whether there is an outcome."""
        return key in self._settled

    def is_private(self, key: str) -> bool:
        """Whether the outcome, or the start, that there is under a key is marked as a private step's."""
        found = self._settled.get(key)
        data = self._started.get(key, b"{}") if found is None else found.data
        return msgspec.json.decode(data, type=_Marked).private is True

    def is_started(self, key: str) -> bool:
        """Whether a wait has started (its outcome may be there too)."""
        return key in self._started or key in self._settled

    def is_intended(self, key: str) -> bool:
        """Whether an at_most_once step may have had its effect: intended, no outcome, and no operator's leave since."""
        return key in self._intended

    def tries(self, key: str) -> int:
        """How many tries of a step failed and were to be followed by another."""
        return self._tries.get(key, 0)


# Of every turn that begins. Nothing ever changes it: `take` is for who has something to take.
NEW: Final = Replay(())
