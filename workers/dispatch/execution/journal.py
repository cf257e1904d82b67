"""A running turn's hand on its history: argosy.workflow.journal.Journal over the worker's flusher.

Rules:
- An operation starts when all before it is durable, on no old word that the turn is ours. Its result is not waited for.
- A turn is suspended when all that its code awaits are waits: no operation is active, and nothing happened for a few
  passes of the loop. Code that awaits something else beside a wait is cancelled with it and awaits it again on replay.
- Nothing new starts while history has outcomes that the code has not asked for. Concurrent branches may ask in another
  order than they were recorded in, so they get a moment before the turn is parked.
- While the turn is handed over nothing new starts and nothing is written: what the code asks for never comes, steps in
  flight run to their end, and their outcomes are kept for whoever owns the turn now.
"""

import asyncio
import uuid
from collections.abc import Callable

import msgspec

from argosy.errors import OwnershipLostError, WaitTimeoutError, WorkflowError
from argosy.turn.events import Event
from argosy.workflow.journal import Recorded, WaitKind
from workers.dispatch.execution.asked import Asked
from workers.dispatch.execution.quiet import Quiet
from workers.dispatch.flush.flusher import Flusher
from workers.dispatch.turn import EventWrite, InboxWrite, Signal, Stop, Turn
from workers.dispatch.waits import Wait, WrittenWait, decode_waits

# What a step may come to. It counts as progress: the crashes before it are forgiven.
STEP_OUTCOMES = frozenset({Event.STEP_COMPLETED, Event.STEP_FAILED, Event.STEP_RETRYING})
_ENDS_OPERATION = STEP_OUTCOMES | {Event.VALUE_RECORDED}

_encode = msgspec.json.encode


class TurnJournal:
    """See argosy.workflow.journal.Journal."""

    __slots__ = (
        "_asked",
        "_database_time_s",
        "_events_max",
        "_flusher",
        "_on_handed_over",
        "_quiet",
        "_recorded_seq",
        "_replay",
        "_turn",
        "_written",
        "outcomes",
        "waits",
    )

    def __init__(
        self,
        turn: Turn,
        flusher: Flusher,
        *,
        database_time_s: Callable[[], float],
        events_max: int,
        on_quiet: Callable[[Turn], None],
    ) -> None:
        self._turn = turn
        self._flusher = flusher
        self._database_time_s = database_time_s
        self._events_max = events_max
        self._quiet = Quiet(self._may_rest, lambda: on_quiet(turn))
        self._on_handed_over: Callable[[], None] = lambda: None
        self._asked = Asked(turn.history)
        self._replay = self._asked.replay
        # What was written before the code began must be durable before anything starts, if it was waited for.
        self._recorded_seq = turn.seq if turn.awaits_start or turn.results else 0
        self._written = {wait.key: wait for wait in decode_waits(turn.waits)} if turn.waits else {}
        self.waits: dict[str, Wait] = {}
        # What steps came to after the turn was handed over.
        self.outcomes: list[EventWrite] = []

    @property
    def turn_id(self) -> uuid.UUID:
        return self._turn.turn_id

    @property
    def tenant(self) -> str:
        return self._turn.tenant

    @property
    def session(self) -> str:
        return self._turn.session_name

    @property
    def attempt(self) -> int:
        return self._turn.attempt

    def database_time_s(self) -> float:
        return self._database_time_s()

    def recorded(self, key: str) -> Recorded | None:
        self._quiet.stir()
        return self._asked.recorded(key)

    def is_intended(self, key: str) -> bool:
        return self._replay.is_intended(key)

    def tries(self, key: str) -> int:
        return self._replay.tries(key)

    def unasked(self) -> list[str]:
        """Keys with a recorded outcome that the code has not asked for."""
        return list(self._replay.unasked())

    async def ready(self, key: str) -> None:
        await self._go_on(key)
        self._quiet.begin(key)
        if self._replay.unasked():
            await self._asked.until_all(key)
            await self._go_on(key)
        if self._recorded_seq > self._turn.durable_seq or self._flusher.is_word_old(self._turn.owned):
            await self._written_down(key)
            await self._go_on(key)

    def record(self, event: Event, key: str, data: bytes) -> None:
        turn = self._turn
        if turn.stop is Stop.HANDOVER:
            self._keep(event, key, data)
            return
        self._check()
        if turn.seq >= self._events_max:
            raise WorkflowError(
                f"the turn has {turn.seq} durable events, the bound is EVENTS_PER_TURN_MAX={self._events_max}"
            )
        if event in STEP_OUTCOMES:
            turn.crashes = 0
        turn.write(event, key, data)
        self._recorded_seq = turn.seq
        self._quiet.stir()
        self._flusher.add_lazily(turn)
        if event in _ENDS_OPERATION:
            self._quiet.end(key)

    def abandon(self, key: str) -> None:
        if key in self._quiet.active:
            self._quiet.end(key)
            self._on_handed_over()

    async def durable(self, key: str) -> None:
        await self._go_on(key)
        if self._recorded_seq > self._turn.durable_seq:
            await self._written_down(key)

    async def wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> bytes | None:
        turn = self._turn
        await self._go_on(key)
        self._quiet.stir()
        if kind == "signal" and (signal := self._take(name)) is not None:
            self._complete(key, signal)
            return signal.payload
        timer_id, due_at_s = self._timer(key, kind, name, timeout_s)
        wait = Wait(key, kind, name, asyncio.get_running_loop().create_future(), timer_id, due_at_s)
        self.waits[key] = wait
        if (fired := turn.fired.pop(key, None)) is not None:
            self._time_out(wait, fired)
        else:
            self._quiet.look()
        try:
            payload = await wait.future
        finally:
            self.waits.pop(key, None)
        if kind == "retry":
            self._quiet.begin(key.rpartition("~")[0])
        return payload

    # What comes from outside

    def deliver(self, signal: Signal) -> None:
        """A signal met the running turn: the wait that is in for it takes it, or it is kept for the next one."""
        turn = self._turn
        for wait in self.waits.values():
            if wait.kind == "signal" and wait.name == signal.name and not wait.future.done():
                self._complete(wait.key, signal)
                if wait.timer_id is not None:
                    turn.moves[wait.timer_id] = "deleted"
                wait.future.set_result(signal.payload)
                self._flusher.add_lazily(turn)
                return
        turn.signals.append(signal)
        turn.moves[signal.inbox_id] = "buffered"
        self._flusher.add(turn)

    def fire(self, key: str, inbox_id: uuid.UUID) -> None:
        """A timer of this turn came due."""
        turn = self._turn
        wait = self.waits.get(key)
        if wait is not None and not wait.future.done():
            self._time_out(wait, inbox_id)
        elif wait is None and not self._replay.is_settled(key):
            turn.fired[key] = inbox_id  # the replay has not come to this wait again yet
        else:
            turn.moves[inbox_id] = "deleted"
            self._flusher.add(turn)

    def hand_over(self, on_done: Callable[[], None]) -> None:
        """From here on (turn.stop is HANDOVER) on_done is called whenever a step has come to its end."""
        self._on_handed_over = on_done

    @property
    def in_flight(self) -> bool:
        """Whether a step runs."""
        return bool(self._quiet.active)

    def written_waits(self) -> bytes:
        """The waits that the turn is in, as turns.waits has them."""
        return _encode(
            [
                WrittenWait(wait.key, wait.kind, wait.name, str(wait.timer_id or ""), wait.due_at_s or 0.0)
                for wait in self.waits.values()
            ]
        )

    # Inside

    async def _go_on(self, key: str) -> None:
        """Returns when the code may do something new; while the turn is handed over, never."""
        if self._turn.stop is Stop.HANDOVER:
            self._quiet.active.discard(key)
            self._on_handed_over()
            await asyncio.get_running_loop().create_future()
        self._check()

    async def _written_down(self, key: str) -> None:
        """Returns when everything recorded so far is durable. If it is, an operation may begin even though the turn
        was handed over meanwhile: what it needs to be found by is there.
        """
        try:
            await self._flusher.durable(self._turn)
            if self._flusher.is_word_old(self._turn.owned):  # the answer to a flush from before we stopped
                await self._flusher.durable(self._turn)
        except OwnershipLostError:
            await self._go_on(key)
            raise
        if self._turn.stop is not Stop.HANDOVER:
            self._check()

    def _keep(self, event: Event, key: str, data: bytes) -> None:
        """The turn is handed over: what a step came to is for its owner to record; an intent is void."""
        if event in STEP_OUTCOMES:
            self.outcomes.append(EventWrite(0, self._turn.attempt, event, key, data))
        self._quiet.active.discard(key)
        self._on_handed_over()

    def _may_rest(self) -> bool:
        """Whether the turn is in waits, and none of them is over."""
        return (
            self._turn.stop is None and bool(self.waits) and not any(wait.future.done() for wait in self.waits.values())
        )

    def _check(self) -> None:
        turn = self._turn
        if not turn.is_live:
            raise OwnershipLostError(f"turn {turn.turn_id} belongs to another process now")
        if turn.stop is not None:
            raise asyncio.CancelledError

    def _take(self, name: str) -> Signal | None:
        for index, signal in enumerate(self._turn.signals):
            if signal.name == name:
                return self._turn.signals.pop(index)
        return None

    def _complete(self, key: str, signal: Signal) -> None:
        self.record(Event.WAIT_COMPLETED, key, b'{"payload":' + (signal.payload or b"null") + b"}")
        self._turn.moves[signal.inbox_id] = "consumed"

    def _time_out(self, wait: Wait, inbox_id: uuid.UUID) -> None:
        self._turn.moves[inbox_id] = "deleted"
        if wait.kind == "signal":
            self.record(Event.WAIT_TIMED_OUT, wait.key, b"{}")
            wait.future.set_exception(WaitTimeoutError(f"no signal {wait.name!r} came in time"))
        else:
            self.record(Event.WAIT_COMPLETED, wait.key, b"{}")
            wait.future.set_result(None)

    def _timer(
        self, key: str, kind: WaitKind, name: str, timeout_s: float | None
    ) -> tuple[uuid.UUID | None, float | None]:
        """The timer of a wait: the one it began with before a suspension or a crash, or a new one."""
        turn = self._turn
        if (written := self._written.get(key)) is not None:
            return (uuid.UUID(written.timer_id), written.due_at_s) if written.timer_id else (None, None)
        if self._replay.is_started(key):
            return None, None
        data: dict[str, object] = {"kind": kind}
        if name:
            data["name"] = name
        if timeout_s is not None:
            data["timeout_s"] = timeout_s
        self.record(Event.WAIT_STARTED, key, _encode(data))
        if timeout_s is None:
            return None, None
        timer_id = uuid.uuid4()
        turn.inbox.append(InboxWrite(timer_id, "timer", kind, key, None, timeout_s))
        return timer_id, self._database_time_s() + timeout_s
