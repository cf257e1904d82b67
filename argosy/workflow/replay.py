"""The keys of an attempt's calls, and the outcomes that history has under them, for code that runs again: pure.

Promise: the outcomes that the code awaits come one by one, in the order in which they were recorded (`next`). Looking
up a key takes the same time however long the history is. argosy/turn/keys.py has the grammar of keys.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from argosy.turn.events import BEGINNINGS, KEYS, SETTLED_OUTCOMES, Event
from argosy.turn.keys import CANCEL, GRAPH, is_awaited
from argosy.workflow.old_keys import OldKeys

# Reasons with which a turn parks: over an at_most_once step; when history and code differ; when history and a graph do.
UNCERTAIN_EFFECT: Final = "uncertain_effect"
HISTORY_MISMATCH: Final = "history_mismatch"
GRAPH_MISMATCH: Final = "graph_mismatch"
# A resume lets the operation begin anew, whose effect may have taken place: somebody decides it for each turn.
DECIDED_EACH: Final = frozenset({UNCERTAIN_EFFECT, GRAPH_MISMATCH})

_SETTLED: Final = {event.value: event for event in SETTLED_OUTCOMES}

# (seq, attempt, type, key, data), in the order of seq.
Row = tuple[int, int, str, str, bytes]


class Recorded(NamedTuple):
    """A settled outcome of history: one of SETTLED_OUTCOMES or turn.cancelling, with its data (JSON bytes)."""

    type: Event
    data: bytes


class _Marked(msgspec.Struct):
    private: Any = None


class Replay:
    """The history that an attempt begins with.

    What the attempt itself records is not added: the code never asks twice for one key. next: the key of the outcome
    that is delivered next, None when all were. begun: the keys under which an effect was recorded as intended that may
    have taken place, and no outcome: the same code has asked for them once all outcomes are delivered. old: the part
    with the keys of an older build, or None.
    """

    __slots__ = ("_again", "_intended", "_intents", "_order", "_settled", "_started", "_tries", "begun", "next", "old")

    def __init__(self, events: Iterable[Row] | Iterable[Any]) -> None:
        """Read the rows of a history. Unknown types are skipped."""
        self._again: dict[str, int] = {}
        self._settled: dict[str, Recorded] = {}
        self._tries: dict[str, list[bytes]] = {}
        self._intended: dict[str, None] = {}
        self._intents: dict[str, bytes] = {}
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
                self._tries.setdefault(key, []).append(data)
                self._intended.pop(key, None)  # it failed, so its outcome is known
            elif kind == Event.STEP_INTENDED:
                self._intended[key] = None
                self._intents.setdefault(key, data)
            elif kind == Event.TURN_CANCELLING:
                self._settled.setdefault(CANCEL, Recorded(Event.TURN_CANCELLING, data))
            elif kind == Event.TURN_PARKED:
                self._parked(key, data)
            elif kind in BEGINNINGS and (is_old := not data.endswith(KEYS)):
                self.old = self.old or OldKeys()
        # A write to a graph is sent until it has an outcome, also after a try that failed.
        writes = (key for key in self._intents if GRAPH in key and key not in self._settled)
        self.begun = tuple({**self._intended, **dict.fromkeys(writes)}) if self._intents and self.old is None else ()
        self._order = iter([key for key in self._settled if is_awaited(key)])
        self.next: str | None = next(self._order, None)

    def _parked(self, key: str, data: bytes) -> None:
        """Note that an operator resumed the turn that was parked over an operation, which may begin anew.

        key: of a step with an uncertain effect; empty when the event does not say which step, and then it is every such
        step. Or of a write that a graph has otherwise (graph_write.py). After other parks nothing begins anew.
        """
        reason = msgspec.json.decode(data).get("reason")
        if reason == UNCERTAIN_EFFECT:
            if key:
                self._intended.pop(key, None)
            else:
                self._intended.clear()
        elif reason == GRAPH_MISMATCH:
            self._again[key] = self.times_again(key) + 1
            self._intended.pop(key, None)
            self._intents.pop(key, None)

    def take(self) -> Recorded:
        """Return the next outcome, and move `next` on."""
        found = self._settled[self.next]  # type: ignore[index]
        self.next = next(self._order, None)
        return found

    def lacking(self, asked: Container[str]) -> str | None:
        """Return a key in `begun` that is not among those that the code has asked for, or None. Not asked again."""
        begun, self.begun = self.begun, ()
        return next((key for key in begun if key not in asked), None)

    def recorded(self, key: str) -> Recorded | None:
        """Return the outcome under a key, delivered or not; None when there is none."""
        return self._settled.get(key)

    def is_settled(self, key: str) -> bool:
        """Whether history has an outcome under a key."""
        return key in self._settled

    def is_private(self, key: str) -> bool:
        """Whether the outcome under a key, or else the start of a wait or of a step, is marked as a private step's."""
        found = self._settled.get(key)
        data = self._started.get(key) or self._intents.get(key, b"{}") if found is None else found.data
        return msgspec.json.decode(data, type=_Marked).private is True

    def is_started(self, key: str) -> bool:
        """Whether a wait has started; its outcome may be recorded, too."""
        return key in self._started or key in self._settled

    def is_intended(self, key: str) -> bool:
        """Whether an at_most_once step may have had its effect: history has its intent, but neither an outcome nor an
        operator's resume after it.
        """
        return key in self._intended

    def intent(self, key: str) -> bytes | None:
        """Return what was recorded before a step first ran; None when nothing was."""
        return self._intents.get(key)

    def times_again(self, key: str) -> int:
        """Return how often an operator let a write begin anew that a graph had otherwise."""
        return self._again.get(key, 0)

    def tries(self, key: str) -> int:
        """Return how many tries of a step failed and were to be followed by another try."""
        return len(self._tries.get(key, ()))

    def failures(self, key: str) -> Sequence[bytes]:
        """Return the data of these tries."""
        return self._tries.get(key, ())


# Shared by all turns that begin. Nothing changes it: `take` is called only when there is a next outcome.
NEW: Final = Replay(())


class TurnKeys:
    """Counts the calls of an attempt. old: the keys of an older build that the turn's history has, or None.

    parted: set when a task calls what may be recorded under such a key, which parks the turn: what history has, what
    the task asks for, and the task's number (mismatch.counted_otherwise).
    """

    __slots__ = ("_counts", "_old", "parted")

    def __init__(self, old: OldKeys | None) -> None:
        self._counts: dict[str, int] = {}
        self._old = old
        self.parted: tuple[str, str, int] | None = None

    def next(self, scope: int, name: str) -> str:
        """Return the key of a task's next call of this name. scope: the task's number, 0 for the first task."""
        scoped = f"{scope}/{name}" if scope else name
        count = self._counts[scoped] = self._counts.get(scoped, 0) + 1
        key = scoped if count == 1 else f"{scoped}#{count}"
        if scope and self._old is not None and self.parted is None:
            self._check_old(self._old, scope, name, key)
        return key

    def _check_old(self, old: OldKeys, scope: int, name: str, asked: str) -> None:
        found = old.beyond(name, self._counts.get(name, 0))
        if found is not None:
            key, is_private = found
            told = ("a private step", "a private step") if is_private else (repr(key), repr(asked))
            self.parted = *told, scope
