"""The waits that the code of one turn is in: how each begins, and how it ends.

Rules:
- A wait that began before a suspension or a crash keeps the timer that it began with.
- A timer goes with its wait, however the wait ends: when code gives a wait up (a cancelled task, asyncio.timeout), its
  timer is deleted, too; if it falls due at that moment, it wakes nothing. When code comes to such a wait again, in a
  later attempt, the wait gets a new timer.
- A signal goes to a wait for its name. If there is none, it is kept for the next such wait.
- What a wait comes to is recorded before the code hears of it. The event of a wait between two tries of a private step
  is marked as private.
"""

import uuid
from collections import OrderedDict, deque
from typing import Final, NoReturn, Protocol

import msgspec

from argosy.errors import OwnershipLostError
from argosy.turn.events import Event
from argosy.turn.inbox import Fate, RowKind
from argosy.turn.wait import WaitKind, WrittenWait
from argosy.turn.wait import encode as encode_waits
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Turn
from argosy.workers.dispatch.waits import Wait
from argosy.workers.dispatch.writes import InboxWrite
from argosy.workflow.replay import NEW, Recorded, Replay

_PRIVATE: Final = b'{"private":true}'

_encode: Final = msgspec.json.encode


class WaitJournal(Protocol):
    """What waits ask of their turn's journal. replay: the history that the attempt goes on from."""

    replay: Replay

    def is_hidden(self, key: str) -> bool:
        """Whether the key is that of a private step, or of the wait between two of its tries."""

    def record(self, event: Event, key: str, data: bytes) -> None:
        """Write a durable event."""


class _ClosedJournal:
    """Stands in for the journal of a turn that has ended, or rests."""

    replay = NEW

    def is_hidden(self, key: str) -> bool:
        return False

    def record(self, event: Event, key: str, data: bytes) -> NoReturn:
        raise OwnershipLostError("the turn has ended, or rests")


_CLOSED: Final = _ClosedJournal()


class TurnWaits:
    """The waits of one turn. open: those the code is in, by key."""

    __slots__ = (
        "_by_name",
        "_database_clock",
        "_given_up",
        "_journal",
        "_over",
        "_replay",
        "_turn",
        "open",
    )

    def __init__(self, turn: Turn, journal: WaitJournal, database_clock: DatabaseClock) -> None:
        self._turn = turn
        self._journal = journal
        self._replay = journal.replay
        self._database_clock = database_clock
        self._given_up: set[str] = set()
        # What may end a wait, in the order in which it came: (key of the wait, "") is a timer, ("", name) a signal.
        self._over: deque[tuple[str, str]] = deque()
        self._by_name: dict[str, OrderedDict[str, None]] = {}
        self.open: dict[str, Wait] = {}

    def begin(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        """Begin a wait, or continue one of an earlier attempt. It may be over at once: `next_over` returns it then."""
        if kind == WaitKind.SIGNAL:
            if self._turn.signals.count(name) > len(self._by_name.get(name, ())):  # more signals than waits for them
                # The wait is over as soon as it begins, so its start need not be recorded.
                self.open[key] = Wait(key, kind, name, *(self._turn.timers.get(key) or (None, None)))
                self._over.append(("", name))
            self._by_name.setdefault(name, OrderedDict())[key] = None
        if key not in self.open:
            self.open[key] = Wait(key, kind, name, *self._timer(key, kind, name, timeout_s))
        if key in self._turn.fired:
            self._over.append((key, ""))

    def next_over(self) -> tuple[str, Recorded] | None:
        """See Journal.next_over. The wait that began first takes the signal that came first."""
        turn = self._turn
        while self._over:
            key, name = self._over[0]
            if key:
                if (wait := self.open.get(key)) is not None and key in turn.fired:
                    found = self._time_out(wait)
                    self._over.popleft()
                    return found
            elif (waiting := self._by_name.get(name)) and (signal := turn.signals.first(name)) is not None:
                wait = self.open[next(iter(waiting))]
                found = self._complete(wait, signal)
                self._over.popleft()
                return found
            self._over.popleft()
        return None

    def leave(self, key: str) -> None:
        """End a wait that the code has left: it gave up, or what it waited for came."""
        turn = self._turn
        wait = self._forget(key)
        if wait is None or turn.stop is not None or turn.has_ended or not turn.is_live:
            return
        self._given_up.add(key)
        if not turn.delete_fired(key) and wait.timer_id is not None:
            turn.drop_timer(wait.timer_id)

    def take_timer(self, key: str) -> float | None:
        """See Journal.take_timer."""
        turn = self._turn
        known = turn.take_timer(key)
        self._given_up.add(key)
        if turn.delete_fired(key):
            return 0.0
        if known is None:
            return None
        turn.drop_timer(known[0])
        return max(0.0, known[1] - self._database_clock.now_s())

    def deliver(self, signal: Signal) -> None:
        """Keep a signal that came for the running turn, until a wait takes it."""
        self._turn.receive(signal)
        self._turn.move(signal.inbox_id, Fate.BUFFERED)
        if signal.name in self._by_name:
            self._over.append(("", signal.name))

    def fire(self, key: str, inbox_id: uuid.UUID) -> None:
        """Take a timer of this turn that fell due."""
        if key in self._given_up or (key not in self.open and self._replay.is_settled(key)):
            self._turn.move(inbox_id, Fate.DELETED)  # its wait is over
            return
        self._turn.fire(key, inbox_id)  # a replay that has not come to this wait yet finds it here
        if key in self.open:
            self._over.append((key, ""))

    def close(self) -> None:
        """Record nothing more: the turn has ended, or rests."""
        self._journal = _CLOSED

    def written(self) -> bytes:
        """Return the open waits, as turns.waits has them."""
        return encode_waits(
            [
                WrittenWait(
                    wait.key,
                    wait.kind,
                    wait.name,
                    str(wait.timer_id or ""),
                    wait.due_at_s or 0.0,
                    self._journal.is_hidden(wait.key),
                )
                for wait in self.open.values()
            ]
        )

    def _forget(self, key: str) -> Wait | None:
        wait = self.open.pop(key, None)
        self._turn.take_timer(key)
        if wait is not None and wait.kind == WaitKind.SIGNAL:
            waiting = self._by_name[wait.name]
            waiting.pop(key, None)
            if not waiting:
                del self._by_name[wait.name]
        return wait

    def _complete(self, wait: Wait, signal: Signal) -> tuple[str, Recorded]:
        turn = self._turn
        data = b'{"payload":' + (signal.payload or b"null") + b"}"
        self._journal.record(Event.WAIT_COMPLETED, wait.key, data)
        turn.consume(signal)
        self._forget(wait.key)
        if not turn.delete_fired(wait.key) and wait.timer_id is not None:
            turn.drop_timer(wait.timer_id)
        return wait.key, Recorded(Event.WAIT_COMPLETED, data)

    def _time_out(self, wait: Wait) -> tuple[str, Recorded]:
        event = Event.WAIT_TIMED_OUT if wait.kind == WaitKind.SIGNAL else Event.WAIT_COMPLETED
        data = _PRIVATE if wait.kind != WaitKind.SIGNAL and self._journal.is_hidden(wait.key) else b"{}"
        self._journal.record(event, wait.key, data)
        self._turn.delete_fired(wait.key)
        self._forget(wait.key)
        return wait.key, Recorded(event, data)

    def _timer(
        self, key: str, kind: WaitKind, name: str, timeout_s: float | None
    ) -> tuple[uuid.UUID | None, float | None]:
        """Return the timer of a wait and when it is due: the one from before a suspension or a crash, or a new one."""
        if (known := self._turn.timers.get(key)) is not None:
            return known
        if not self._replay.is_started(key):
            data: dict[str, object] = {"kind": kind}
            if name:
                data["name"] = name
            if timeout_s is not None:
                data["timeout_s"] = timeout_s
            if self._journal.is_hidden(key):
                data["private"] = True
            self._journal.record(Event.WAIT_STARTED, key, _encode(data))
        if timeout_s is None:
            return None, None
        timer_id = uuid.uuid4()
        shard = name.encode() if kind == WaitKind.RETRY and name else None  # by it `hasten_retries` finds the row
        self._turn.add_row(InboxWrite(timer_id, RowKind.TIMER, kind, key, shard, timeout_s))
        return timer_id, self._database_clock.now_s() + timeout_s
