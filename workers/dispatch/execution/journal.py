"""A running turn's hand on its history: argosy.workflow.journal.Journal over the worker's flusher.

Rules:
- A step begins when all recorded before it is durable, Postgres's word that the turn is ours is not old, and the queue
  of flushes is not full. The flush of a step's outcome is not awaited.
- A turn is suspended when its code is at rest and only waits are open (argosy/workflow/driver.py knows).
- While the turn is handed over, nothing new starts and nothing is written: what the code asks for never comes, steps in
  flight run to their end, and their outcomes are kept for the worker that owns the turn now.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable

from argosy.errors import OwnershipLostError, WorkflowError
from argosy.identity.turn_principal import TurnPrincipal, principal_of_turn
from argosy.turn.events import STEP_OUTCOMES, Event
from argosy.turn.inbox import Fate
from argosy.turn.keys import step_key
from argosy.turn.status import Status
from argosy.turn.wait import WaitKind
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.around import Around
from argosy.workers.dispatch.execution.turn_waits import TurnWaits
from argosy.workers.dispatch.signals import Signal
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workers.dispatch.waits import Wait
from argosy.workers.dispatch.writes import EventWrite
from argosy.workflow.channels import Channels
from argosy.workflow.graphs import TurnGraphs
from argosy.workflow.journal import Emitter
from argosy.workflow.own_emits import kept_channels
from argosy.workflow.replay import NEW, Recorded, Replay


class TurnJournal:
    """See argosy.workflow.journal.Journal."""

    __slots__ = (
        "_advance",
        "_around",
        "_database_clock",
        "_flusher",
        "_followers",
        "_hidden",
        "_is_closed",
        "_limits",
        "_on_handed_over",
        "_overgrown",
        "_recorded_seq",
        "_turn",
        "_waits",
        "active",
        "bounds",
        "is_cancelled",
        "is_new",
        "knows_of_cancel",
        "outcomes",
        "replay",
    )

    def __init__(self, turn: Turn, around: Around) -> None:
        self._turn, self._around = turn, around
        self._flusher, self._database_clock, self._limits, self._followers, *_ = around
        self._overgrown = ""  # why nothing more can be recorded; empty while it can
        self.bounds = self._limits.channels
        self.is_new = not (turn.history or turn.is_taken_over)
        self._on_handed_over = self._advance = _nothing
        self._hidden: set[str] | None = None  # keys of private steps
        # Whether the turn was cancelled in this attempt; whether its code was told so; whether the attempt is over.
        self.is_cancelled = self.knows_of_cancel = self._is_closed = False
        self.replay = Replay(turn.history) if turn.history else NEW
        self.active: set[str] = set()  # keys of steps that are in flight
        # After an awaited start or outcomes taken over, what was written so far must be durable before a step starts.
        self._recorded_seq = turn.seq if turn.awaits_start or turn.results else 0
        self._waits: TurnWaits | None = None  # made with the first wait: many turns have none
        self.outcomes: list[EventWrite] = []  # what steps came to after the turn was handed over

    def open_waits(self) -> Iterable[Wait]:
        return () if self._waits is None else self._waits.open.values()

    def written_waits(self) -> bytes:
        return self.waits.written()

    @property
    def waits(self) -> TurnWaits:
        if self._waits is None:
            self._waits = TurnWaits(self._turn, self, self._database_clock)
        return self._waits

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
    def principal(self) -> TurnPrincipal | None:
        return principal_of_turn(self._turn.created_by, self._turn.tenant)

    @property
    def attempt(self) -> int:
        return self._turn.attempt

    def database_time_s(self) -> float:
        return self._database_clock.now_s()

    def graphs(self) -> TurnGraphs:
        return self._around.graphs_of(self._turn)

    @property
    def is_stopped(self) -> bool:
        turn = self._turn
        return turn.stop is not None or turn.is_refused or turn.owned.is_void

    def follow(self, advance: Callable[[], None]) -> None:
        self._advance = advance

    def note_cancelled(self) -> None:
        self.knows_of_cancel = True

    def hide(self, key: str) -> None:
        self._hidden = self._hidden or set()
        self._hidden.add(key)

    def is_hidden(self, key: str) -> bool:
        return self._hidden is not None and (key in self._hidden or step_key(key) in self._hidden)

    def open(self, emitter: Emitter) -> None:
        self._turn.emit_by(emitter)
        followers = self._followers
        if followers.subscribers.count and followers.listener_of(self._turn) is not None:
            emitter.look()

    def channels(self) -> Channels:
        turn = self._turn
        kept = None if self.is_new else kept_channels(turn.history, is_refilled=turn.is_taken_over)
        return Channels(self.bounds, turn, kept)

    def show(self, channels: Channels) -> None:
        turn = self._turn
        turn.show(channels)
        if self._is_closed:  # code that goes on after its turn ended, or rests: nothing it emits is shown
            turn.show(None)
        # A follower that comes from now on finds the channels; one that came before is asked for here.
        elif self._followers.subscribers.count and (listener := self._followers.listener_of(turn)) is not None:
            channels.listener = listener

    def starts_now(self, key: str) -> bool:
        if self.is_stopped or self._overgrown or self._flusher.is_full:
            return False
        if self._recorded_seq > self._turn.durable_seq or self._flusher.is_word_old(self._turn.owned):
            return False
        self.active.add(key)
        return True

    async def ready(self, key: str) -> None:
        await self._go_on(key)
        self.active.add(key)
        if self._recorded_seq > self._turn.durable_seq or self._flusher.is_word_old(self._turn.owned):
            await self._written_down(key)
            await self._go_on(key)
        while self._flusher.is_full and not self._overgrown:
            await self._flusher.room()
            await self._go_on(key)
        if self._overgrown:  # there is no room to record the outcome of the step
            raise WorkflowError(self._overgrown)

    def record(self, event: Event, key: str, data: bytes) -> None:
        turn = self._turn
        if turn.stop is not None or turn.is_refused or turn.owned.is_void:
            if turn.stop is Stop.HANDOVER:
                self._keep(event, key, data)
                return
            self._check()
        limits = self._limits
        if turn.seq >= limits.events_max or turn.history_bytes + len(data) > limits.history_size_bytes_max:
            self._overgrown = limits.overgrown(turn.seq, turn.history_bytes, len(data))
            raise WorkflowError(self._overgrown)
        if event in STEP_OUTCOMES:
            turn.progress()
        turn.write(event, key, data)
        self._recorded_seq = turn.seq
        self._flusher.add_lazily(turn)

    def left(self, key: str) -> None:
        if key in self.active:
            self.active.discard(key)
            self._on_handed_over()

    async def durable(self, key: str) -> None:
        await self._go_on(key)
        if self._recorded_seq > self._turn.durable_seq:
            await self._written_down(key)

    def begin_wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        self.waits.begin(key, kind, name, timeout_s)

    def take_timer(self, key: str) -> float | None:
        return self.waits.take_timer(key)

    def end_wait(self, key: str) -> None:
        self.waits.leave(key)

    def next_over(self) -> tuple[str, Recorded] | None:
        return None if self._waits is None else self._waits.next_over()

    def rest(self) -> None:
        turn = self._turn
        if not self.is_stopped and turn.status is Status.RUNNING and not turn.cancel_until_s:
            turn_change.suspend(turn)
            self._flusher.add(turn)
            turn.halt(Stop.SUSPEND)

    # What comes from outside

    def deliver(self, signal: Signal) -> None:
        """Give a signal to the running turn: a wait for its name takes it, or it is kept for the next one."""
        self.waits.deliver(signal)
        self._advance()
        if self._turn.moves.get(signal.inbox_id) == Fate.CONSUMED:
            self._flusher.add_lazily(self._turn)
        else:
            self._flusher.add(self._turn)

    def fire(self, key: str, inbox_id: uuid.UUID) -> None:
        """Give the turn a timer of its own that fell due."""
        self.waits.fire(key, inbox_id)
        self._flusher.add(self._turn)
        self._advance()

    def cancel(self, data: bytes) -> None:
        """Record the cancel of the turn; its code hears of it at rest. If the turn then ends, one flush has both."""
        turn = self._turn
        turn.write(Event.TURN_CANCELLING, data=data)
        self._recorded_seq = turn.seq
        self.is_cancelled = True
        self._flusher.add_lazily(turn)
        self._advance()

    def hand_over(self, on_done: Callable[[], None]) -> None:
        """Call on_done from now on (turn.stop is HANDOVER) whenever a step in flight has ended."""
        self._on_handed_over = on_done

    def close(self) -> None:
        """Cut reference cycles: the turn has ended or rests, durably. Its code may go on, in a `finally` or thread."""
        self._is_closed = True
        if self._turn.emitter is not None:
            self._turn.emitter.leave()
        self._advance = self._on_handed_over = _nothing
        if self._waits is not None:
            self._waits.close()

    # Inside

    async def _go_on(self, key: str) -> None:
        """Return when the code may do something new; while the turn is handed over, never."""
        if self._turn.stop is Stop.HANDOVER:
            self.active.discard(key)
            self._on_handed_over()
            await asyncio.get_running_loop().create_future()
        self._check()

    async def _written_down(self, key: str) -> None:
        """Return when everything recorded so far is durable. Then an operation may begin even if the turn was handed
        over meanwhile: the next owner finds it in history.
        """
        try:
            await self._flusher.durable(self._turn)
            if self._flusher.is_word_old(self._turn.owned):  # that flush was sent before this process was stopped
                await self._flusher.durable(self._turn)
        except OwnershipLostError:
            await self._go_on(key)
            raise
        if self._turn.stop is not Stop.HANDOVER:
            self._check()

    def _keep(self, event: Event, key: str, data: bytes) -> None:
        """Keep a step's outcome for the new owner of a turn that is handed over, which records it; drop an intent."""
        if event in STEP_OUTCOMES:
            self.outcomes.append(EventWrite(0, self._turn.attempt, event, key, data))
        self.active.discard(key)
        self._on_handed_over()

    def _check(self) -> None:
        turn = self._turn
        if not turn.is_live:
            raise OwnershipLostError(f"turn {turn.turn_id} belongs to another process now")
        if turn.stop is not None:
            raise asyncio.CancelledError


def _nothing() -> None:
    pass
