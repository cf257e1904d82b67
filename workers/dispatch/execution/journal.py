"""A running turn's hand on its history: argosy.workflow.journal.Journal over the worker's flusher.

Rules:
- An operation starts when all before it is durable, on no old word that the turn is ours, and while not too much waits
  to be written, of whomever. Its result is not waited for.
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

from argosy.errors import OwnershipLostError, WorkflowError
from argosy.turn.events import Event
from argosy.workers.dispatch.execution.asked import Asked
from argosy.workers.dispatch.execution.kept_channels import kept_channels
from argosy.workers.dispatch.execution.limits import Limits
from argosy.workers.dispatch.execution.quiet import Quiet
from argosy.workers.dispatch.execution.turn_waits import TurnWaits
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.turn import EventWrite, Signal, Stop, Turn
from argosy.workflow.channels import Channels
from argosy.workflow.journal import Emitter, Park, Recorded, WaitKind

# What a step may come to. It counts as progress: the crashes before it are forgiven.
STEP_OUTCOMES = frozenset({Event.STEP_COMPLETED, Event.STEP_FAILED, Event.STEP_RETRYING})
_ENDS_OPERATION = STEP_OUTCOMES | {Event.VALUE_RECORDED}


class TurnJournal:
    """See argosy.workflow.journal.Journal."""

    __slots__ = (
        "_asked",
        "_database_time_s",
        "_flusher",
        "_is_closed",
        "_limits",
        "_listener_of",
        "_on_handed_over",
        "_overgrown",
        "_quiet",
        "_recorded_seq",
        "_replay",
        "_turn",
        "bounds",
        "is_new",
        "outcomes",
        "waits",
    )

    def __init__(
        self,
        turn: Turn,
        flusher: Flusher,
        *,
        database_time_s: Callable[[], float],
        limits: Limits,
        listener_of: Callable[[Turn], Callable[[], None] | None],
        on_quiet: Callable[[Turn], None],
    ) -> None:
        self._turn = turn
        self._flusher = flusher
        self._database_time_s = database_time_s
        self._limits = limits
        # Why nothing more can be recorded; empty while it can.
        self._overgrown = ""
        self.bounds = limits.channels
        self.is_new = not (turn.history or turn.is_taken_over)
        self._listener_of = listener_of
        self._quiet = Quiet(self._may_rest, lambda: on_quiet(turn))
        self._on_handed_over: Callable[[], None] = lambda: None
        self._asked = Asked(turn.history)
        self._is_closed = False
        self._replay = self._asked.replay
        # What was written before the code began must be durable before anything starts, if it was waited for.
        self._recorded_seq = turn.seq if turn.awaits_start or turn.results else 0
        self.waits = TurnWaits(turn, self._asked, database_time_s, self.record)
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

    def hide(self, key: str) -> None:
        self._asked.hide(key)

    def parted(self) -> Park | None:
        """Why the code cannot rest or end here while history has an outcome that it has not asked for, or None."""
        return self._asked.parted(*self.waits.open)

    def open(self, emitter: Emitter) -> None:
        self._turn.emitter = emitter
        if self._listener_of(self._turn) is not None:
            emitter.look()

    def channels(self) -> Channels:
        turn = self._turn
        kept = None if self.is_new else kept_channels(turn.history, is_refilled=turn.is_taken_over)
        return Channels(self.bounds, turn, kept)

    def show(self, channels: Channels) -> None:
        turn = self._turn
        turn.channels = channels
        if self._is_closed:  # its code goes on after it has ended, or rests: nobody sees what it emits
            turn.channels = None
        # Whoever begins to watch from now on finds it; who did before is asked for here.
        elif (listener := self._listener_of(turn)) is not None:
            channels.listener = listener

    async def ready(self, key: str) -> None:
        await self._go_on(key)
        self._quiet.begin(key)
        if self._replay.unasked():
            await self._asked.until_all(key)
            await self._go_on(key)
        if self._recorded_seq > self._turn.durable_seq or self._flusher.is_word_old(self._turn.owned):
            await self._written_down(key)
            await self._go_on(key)
        while self._flusher.is_full and not self._overgrown:
            await self._flusher.room()
            await self._go_on(key)
        if self._overgrown:  # what it would come to could not be recorded
            raise WorkflowError(self._overgrown)

    def record(self, event: Event, key: str, data: bytes) -> None:
        turn = self._turn
        if turn.stop is Stop.HANDOVER:
            self._keep(event, key, data)
            return
        self._check()
        limits = self._limits
        if turn.seq >= limits.events_max:
            self._overgrown = (
                f"the turn has {turn.seq} durable events, the bound is EVENTS_PER_TURN_MAX={limits.events_max}"
            )
            raise WorkflowError(self._overgrown)
        if turn.history_bytes + len(data) > limits.history_size_bytes_max:
            self._overgrown = (
                f"the turn's events have {turn.history_bytes} bytes of data and one of {len(data)} comes, the bound is "
                f"HISTORY_SIZE_BYTES_MAX={limits.history_size_bytes_max}: keep large results elsewhere, and return "
                "where they are"
            )
            raise WorkflowError(self._overgrown)
        if event in STEP_OUTCOMES:
            turn.crashes, turn.trial = 0, None
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
        await self._go_on(key)
        self._quiet.stir()
        wait = self.waits.begin(key, kind, name, timeout_s)
        if not wait.future.done():
            self._quiet.look()
        try:
            payload = await wait.future
        finally:
            self.waits.leave(wait)
            self._quiet.look()  # nothing else may be left of the turn
        if kind == "retry":
            self._quiet.begin(key.rpartition("~")[0])
        return payload

    # What comes from outside

    def deliver(self, signal: Signal) -> None:
        """A signal met the running turn: the wait that is in for it takes it, or it is kept for the next one."""
        if self.waits.deliver(signal):
            self._flusher.add_lazily(self._turn)
        else:
            self._flusher.add(self._turn)

    def fire(self, key: str, inbox_id: uuid.UUID) -> None:
        """A timer of this turn came due."""
        if not self.waits.fire(key, inbox_id):
            self._flusher.add(self._turn)

    def hand_over(self, on_done: Callable[[], None]) -> None:
        """From here on (turn.stop is HANDOVER) on_done is called whenever a step has come to its end."""
        self._on_handed_over = on_done

    @property
    def in_flight(self) -> bool:
        """Whether a step runs."""
        return bool(self._quiet.active)

    def close(self) -> None:
        """The turn has ended or rests, durably: what this holds does not hold this any more. Its code may still go on,
        in a `finally` or in a thread.
        """
        self._is_closed = True
        self._quiet.close()
        self.waits.close()

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
        return self._turn.stop is None and self.waits.may_rest

    def _check(self) -> None:
        turn = self._turn
        if not turn.is_live:
            raise OwnershipLostError(f"turn {turn.turn_id} belongs to another process now")
        if turn.stop is not None:
            raise asyncio.CancelledError
