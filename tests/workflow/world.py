"""A world for one program: history, steps in flight, signals and timers, all of whose moments are choices.

Nothing here looks at a clock or runs in a thread. Steps are real coroutines on the world's asyncio loop, which end when
the world says so. Waits are the worker's own (argosy.workers.dispatch.execution.turn_waits).

What a kill leaves of the history is any part from its beginning that holds what was durable; a step begins only when
all recorded before is durable. A hand-over lets some steps in flight end; what they came to is in the history before
the next attempt begins.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import msgspec

from argosy.clock import SystemClock
from argosy.errors import OwnershipLostError
from argosy.turn.events import SETTLED_OUTCOMES, STEP_OUTCOMES, Event
from argosy.turn.inbox import Fate
from argosy.turn.keys import is_awaited
from argosy.turn.wait import WaitKind
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution.turn_waits import TurnWaits
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.signals import Signal, Signals
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.channel_bounds import ChannelBounds
from argosy.workflow.channels import Channels
from argosy.workflow.graphs import TurnGraphs
from argosy.workflow.journal import Emitter
from argosy.workflow.replay import Recorded, Replay, Row

TURN_ID = uuid.UUID("01934567-89ab-8cde-8f01-23456789abcd")
OUTCOMES: Final = SETTLED_OUTCOMES | STEP_OUTCOMES | {Event.TURN_CANCELLING}


class BrokenError(AssertionError):
    """What must hold does not."""


class Kept:
    """What outlives an attempt. rows: the history; signals: sent and not taken; timers: by key."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.signals: list[Signal] = []
        self.timers: dict[str, tuple[uuid.UUID, float]] = {}


def make_turn(kept: Kept, seq: int) -> Turn:
    turn = Turn(
        owned=Owned(0, epoch=1, buckets=(0, 1023)), turn_id=TURN_ID, tenant="default", session_id=uuid.uuid4(),
        session_name="customer-1", bucket=0, place=1, workflow="w", priority=0, input=b"null", seq=seq,
    )  # fmt: skip
    turn.timers = dict(kept.timers)
    turn.signals = Signals(kept.signals)
    return turn


class WorldClock(DatabaseClock):
    """The database's clock, of a journal that counts what was recorded."""

    def __init__(self, journal: "WorldJournal") -> None:
        super().__init__(SystemClock())
        self._journal = journal

    def now_s(self) -> float:
        return self._journal.database_time_s()


class WorldJournal:
    """See argosy.workflow.journal.Journal. durable: so many rows are."""

    def __init__(self, kept: Kept, attempt: int, *, is_over: bool = False) -> None:
        self.rows = list(kept.rows)
        self.began_with = self.durable_rows = len(self.rows)
        self.turn_id = TURN_ID
        self.tenant = "default"
        self.session = "customer-1"
        self.principal = None
        self.attempt = attempt
        self.is_new = not self.rows
        self.bounds = ChannelBounds(1_000, 4_096, 8_192, 8)
        self.replay = Replay(self.rows)
        self.is_resting = self.is_closing = False
        self.is_cancelled = False
        self.broken = ""
        self.outcomes: list[tuple[Event, str, bytes]] = []
        self.active: set[str] = set()
        self.flushes: list[asyncio.Future[None]] = []
        self.turn = make_turn(kept, len(self.rows))
        self.began_timers: list[tuple[int, str, uuid.UUID]] = []
        self.waits = TurnWaits(self.turn, self, WorldClock(self))
        self._sent: list[Signal] = []
        self._is_over = is_over
        self._timers = dict(kept.timers)
        self._awaited = sum(row[2] in SETTLED_OUTCOMES and is_awaited(row[3]) for row in self.rows)
        self._advance: Callable[[], None] = lambda: None

    # argosy.workflow.journal.Journal

    @property
    def is_stopped(self) -> bool:
        return self.turn.stop is not None or not self.turn.is_live

    def database_time_s(self) -> float:
        return 1_763_700_000.25 + self._awaited

    def follow(self, advance: Callable[[], None]) -> None:
        self._advance = advance

    def note_cancelled(self) -> None:
        """What a turn comes to that was cancelled is not looked at here."""

    def hide(self, key: str) -> None:
        """Nothing is private here."""

    def is_hidden(self, key: str) -> bool:
        return False

    def open(self, emitter: Emitter) -> None:
        """Nobody watches."""

    def channels(self) -> Channels:
        return Channels(self.bounds, self.turn, None)

    def show(self, channels: Channels) -> None:
        """Nobody watches."""

    def graphs(self) -> TurnGraphs:
        raise NotImplementedError  # nothing here asks for a graph

    def record(self, event: Event, key: str, data: bytes) -> None:
        if self.turn.stop is Stop.HANDOVER and event in STEP_OUTCOMES:
            self.outcomes.append((event, key, data))
            return
        if (self.is_closing or not self.turn.is_live) and event in STEP_OUTCOMES:
            raise OwnershipLostError("lost")
        self._check_open(f"{event.value} of {key} was recorded")
        if event in SETTLED_OUTCOMES:
            if any(row[2] in SETTLED_OUTCOMES and row[3] == key for row in self.rows):
                raise BrokenError(f"{key} was settled twice")
            self._awaited += is_awaited(key)
        self.rows.append((len(self.rows) + 1, self.attempt, event.value, key, data))
        self.turn.seq = len(self.rows)

    def starts_now(self, key: str) -> bool:
        if self._is_over or self.is_stopped or self.durable_rows < len(self.rows):
            return False
        self.active.add(key)
        return True

    async def ready(self, key: str) -> None:
        await self._go_on(key)
        self.active.add(key)
        if self.durable_rows < len(self.rows):
            flush = asyncio.get_running_loop().create_future()
            self.flushes.append(flush)
            await flush
            await self._go_on(key)

    def left(self, key: str) -> None:
        self.active.discard(key)

    async def durable(self, key: str) -> None:
        await self.ready(key)

    def begin_wait(self, key: str, kind: WaitKind, name: str, timeout_s: float | None) -> None:
        self._check_open(f"wait {key} began")
        self.waits.begin(key, kind, name, timeout_s)
        for write in self.turn.inbox.values():
            self.began_timers.append((len(self.rows), write.correlation, write.inbox_id))
        self.turn.inbox.clear()

    def take_timer(self, key: str) -> float | None:
        return self.waits.take_timer(key)

    def end_wait(self, key: str) -> None:
        self.waits.leave(key)

    def next_over(self) -> tuple[str, Recorded] | None:
        return self.waits.next_over()

    def rest(self) -> None:
        self.is_resting = True

    def _check_open(self, what: str) -> None:
        if self._is_over or self.is_closing or self.is_stopped:
            self.broken = f"{what} although nothing goes on"
            raise BrokenError(self.broken)

    async def _go_on(self, key: str) -> None:
        if self._is_over:
            raise BrokenError(f"{key} began although everything is recorded")
        if self.turn.stop is Stop.HANDOVER:
            self.active.discard(key)
            await asyncio.get_running_loop().create_future()
        if self.is_stopped:
            raise OwnershipLostError("lost")

    # What the world does

    def flush(self) -> None:
        self.durable_rows = len(self.rows)
        waiting, self.flushes = self.flushes, []
        for flush in waiting:
            if not flush.done():
                flush.set_result(None)

    def send(self, name: str, payload: int) -> None:
        self.is_resting = False
        self._sent.append(Signal(uuid.uuid4(), name, msgspec.json.encode(payload)))
        self.waits.deliver(self._sent[-1])
        self._advance()

    def cancel(self) -> None:
        self.is_resting = False
        self.record(Event.TURN_CANCELLING, "", b'{"until":"2026-01-01T00:00:00+00:00"}')
        self.is_cancelled = True
        self._advance()

    @property
    def was_cancelled(self) -> bool:
        return any(row[2] == Event.TURN_CANCELLING for row in self.rows)

    def fire(self, key: str) -> None:
        self.is_resting = False
        wait = self.waits.open.get(key)
        timer_id = self.turn.timers[key][0] if wait is None else wait.timer_id
        assert timer_id is not None
        self.waits.fire(key, timer_id)
        self._advance()

    def due(self) -> list[str]:
        """Keys of timers that may fire."""
        return [key for key, wait in self.waits.open.items() if wait.timer_id is not None]

    def left_timers(self) -> list[str]:
        """Those of waits that the code is not in."""
        return [key for key in self.turn.timers if key not in self.waits.open and key not in self.turn.fired]

    def keep(self, kept: Kept, rows: int) -> None:
        """What is left when the first so many rows are."""
        kept.rows = self.rows[:rows]
        settled = {row[3] for row in kept.rows if row[2] in SETTLED_OUTCOMES}
        taken = {inbox_id for inbox_id, seq in self.turn.consumed.items() if seq <= rows}
        kept.signals = [each for each in (*kept.signals, *self._sent) if each.inbox_id not in taken]
        timers = {**self._timers, **{key: (timer_id, 0.0) for seq, key, timer_id in self.began_timers if seq <= rows}}
        kept.timers = {
            key: timer
            for key, timer in timers.items()
            if key not in settled and not (rows == len(self.rows) and self.turn.moves.get(timer[0]) == Fate.DELETED)
        }
