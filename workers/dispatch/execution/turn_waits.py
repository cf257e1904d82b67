"""The waits that one turn's code is in: how each begins, and how it ends.

Rules:
- A wait that began before a suspension or a crash keeps the timer that it began with.
- A timer goes with its wait, however that ends: code that gives a wait up (a cancelled task, asyncio.timeout) takes
  its timer along. One that comes due at that moment wakes nobody. Code that is in such a wait again, in a later
  attempt, gets a new timer.
- A signal goes to the wait that is in for it; what nobody waits for is kept for the next one that does.
- Whatever a wait comes to is written before the code hears of it. The wait between two tries of a private step says so
  in what is written.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import msgspec

from argosy.errors import OwnershipLostError, WaitTimeoutError, WorkflowError
from argosy.turn.events import Event
from argosy.workers.dispatch.execution.asked import Asked
from argosy.workers.dispatch.turn import InboxWrite, Signal, Turn
from argosy.workers.dispatch.waits import Wait, WrittenWait
from argosy.workflow.journal import WaitKind

_PRIVATE: Final = b'{"private":true}'

_encode = msgspec.json.encode


class TurnWaits:
    """open: those the code is in, by key. record(event, key, data) writes a durable event of the turn."""

    __slots__ = ("_asked", "_database_time_s", "_given_up", "_record", "_turn", "open")

    def __init__(
        self,
        turn: Turn,
        asked: Asked,
        database_time_s: Callable[[], float],
        record: Callable[[Event, str, bytes], None],
    ) -> None:
        self._turn = turn
        self._asked = asked
        self._database_time_s = database_time_s
        self._record = record
        self._given_up: set[str] = set()
        self.open: dict[str, Wait] = {}

    @property
    def may_rest(self) -> bool:
        """Whether the turn is in waits, and none of them is over."""
        return bool(self.open) and not any(wait.future.done() for wait in self.open.values())

    def begin(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> Wait:
        """The wait as it is now; it may be over at once."""
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        if kind == "signal" and (signal := self._take(name)) is not None:
            self._complete(key, signal)
            if (timer := self._turn.timers.pop(key, None)) is not None:
                self._turn.drop_timer(timer[0])
            future.set_result(signal.payload)
            return Wait(key, kind, name, future, None, None)
        wait = Wait(key, kind, name, future, *self._timer(key, kind, name, timeout_s))
        self.open[key] = wait
        if (fired := self._turn.fired.pop(key, None)) is not None:
            self._time_out(wait, fired)
        return wait

    def leave(self, wait: Wait) -> None:
        """The code does not wait any more: what it waited for came, or it gave up, or it is broken off."""
        turn = self._turn
        self.open.pop(wait.key, None)
        is_over = wait.future.done() and not wait.future.cancelled()
        if is_over or turn.stop is not None or turn.has_ended or not turn.is_live:
            return
        self._given_up.add(wait.key)
        turn.timers.pop(wait.key, None)
        if wait.timer_id is not None:
            turn.drop_timer(wait.timer_id)

    def deliver(self, signal: Signal) -> bool:
        """A signal met the running turn. False: nothing waits for it yet, and it is kept."""
        turn = self._turn
        for wait in self.open.values():
            if wait.kind == "signal" and wait.name == signal.name and not wait.future.done():
                try:
                    self._complete(wait.key, signal)
                except WorkflowError as error:  # there is no room for it in the turn's history: the turn hears that
                    wait.future.set_exception(error)
                    break
                if wait.timer_id is not None:
                    turn.drop_timer(wait.timer_id)
                wait.future.set_result(signal.payload)
                return True
        turn.signals.append(signal)
        turn.moves[signal.inbox_id] = "buffered"
        return False

    def fire(self, key: str, inbox_id: uuid.UUID) -> bool:
        """A timer of this turn came due. False: no wait is in for it any more."""
        wait = self.open.get(key)
        if wait is not None and not wait.future.done():
            self._time_out(wait, inbox_id)
        elif wait is None and key not in self._given_up and not self._asked.replay.is_settled(key):
            self._turn.fired[key] = inbox_id  # the replay has not come to this wait again yet
        else:
            self._turn.moves[inbox_id] = "deleted"
            return False
        return True

    def close(self) -> None:
        """Nothing more is recorded."""
        self._record = _refuse

    def written(self) -> bytes:
        """The waits that the turn is in, as turns.waits has them."""
        return _encode(
            [
                WrittenWait(
                    wait.key,
                    wait.kind,
                    wait.name,
                    str(wait.timer_id or ""),
                    wait.due_at_s or 0.0,
                    self._asked.is_hidden(wait.key),
                )
                for wait in self.open.values()
            ]
        )

    def _take(self, name: str) -> Signal | None:
        for index, signal in enumerate(self._turn.signals):
            if signal.name == name:
                return self._turn.signals.pop(index)
        return None

    def _complete(self, key: str, signal: Signal) -> None:
        self._record(Event.WAIT_COMPLETED, key, b'{"payload":' + (signal.payload or b"null") + b"}")
        self._turn.moves[signal.inbox_id] = "consumed"
        self._turn.consumed[signal.inbox_id] = self._turn.seq

    def _time_out(self, wait: Wait, inbox_id: uuid.UUID) -> None:
        self._turn.moves[inbox_id] = "deleted"
        event = Event.WAIT_TIMED_OUT if wait.kind == "signal" else Event.WAIT_COMPLETED
        is_hidden = wait.kind != "signal" and self._asked.is_hidden(wait.key)
        try:
            self._record(event, wait.key, _PRIVATE if is_hidden else b"{}")
        except WorkflowError as error:  # as for a signal
            wait.future.set_exception(error)
            return
        if wait.kind == "signal":
            wait.future.set_exception(WaitTimeoutError(f"no signal {wait.name!r} came in time"))
        else:
            wait.future.set_result(None)

    def _timer(
        self, key: str, kind: WaitKind, name: str, timeout_s: float | None
    ) -> tuple[uuid.UUID | None, float | None]:
        """The timer of a wait: the one it began with before a suspension or a crash, or a new one."""
        if (known := self._turn.timers.get(key)) is not None:
            return known
        if not self._asked.replay.is_started(key):
            data: dict[str, object] = {"kind": kind}
            if name:
                data["name"] = name
            if timeout_s is not None:
                data["timeout_s"] = timeout_s
            if self._asked.is_hidden(key):
                data["private"] = True
            self._record(Event.WAIT_STARTED, key, _encode(data))
        if timeout_s is None:
            return None, None
        timer_id = uuid.uuid4()
        self._turn.inbox.append(InboxWrite(timer_id, "timer", kind, key, None, timeout_s))
        return timer_id, self._database_time_s() + timeout_s


def _refuse(event: Event, key: str, data: bytes) -> None:
    raise OwnershipLostError("the turn has ended, or rests")
