"""Group commit: what all of a worker's turns want written goes out as one flush, one flush at a time.

Rule: a turn is in at most one flush in flight, and in it with one row: what it was when the flush before it was sent,
what it is now, and all its events between. Flushes of the stream are numbered, so an unknown outcome is cured
by sending
the same again (argosy/store/numbered_stream.py), and nobody is told anything before the answer is there.

- at once when little waits; after a busy flush it collects up to flush_wait_ms, up to flush_rows_max turns;
- a turn whose fence or whose row was not as expected is refused: it may never write again from this memory;
- a flush that Postgres refuses for what is in it is halved until the entry at fault stands alone, which is parked.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import NamedTuple

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.errors import FlushRefusedError, OwnershipLostError
from argosy.store.numbered_stream import Answer, NumberedStream
from argosy.workers.dispatch.flush.flush_arrays import STATEMENT, FlushArrays
from argosy.workers.dispatch.flush.flush_entry import Entry
from argosy.workers.dispatch.turn import Owned, Turn

_BUSY_TURNS = 16  # a flush of more turns than this was a busy one: waiting for company pays
_LAZY_S = 0.02  # how long a start that nobody waits for may ride along with others' flushes


class LooseMove(NamedTuple):
    """An inbox row that takes effect without a row of its turn: a signal is buffered, or came late."""

    owned: Owned
    inbox_id: uuid.UUID
    to: str


class Placement(NamedTuple):
    """A delayed turn that fell due."""

    owned: Owned
    turn_id: uuid.UUID
    session_id: uuid.UUID
    bucket: int


class Flusher:
    """Runs until cancelled. `on_written(turns)` is called once per flush with the turns whose rows were written.

    word_s: for how long Postgres's word counts that a partition is ours: longer than a flush takes, shorter than others
    wait before they take over from whoever has stopped.
    """

    def __init__(
        self,
        stream: NumberedStream,
        lane: str,
        clock: Clock,
        *,
        rows_max: int,
        wait_ms: float,
        word_s: float,
        on_written: Callable[[list[Turn]], None],
        on_moved: Callable[[list[uuid.UUID]], None],
        on_placed: Callable[[list[Placement]], None],
        on_refused: Callable[[list[Turn], list[Owned]], None],
        on_answer: Callable[[Answer], None],
        on_timers: Callable[[list[float]], None] = lambda _: None,
        on_events: Callable[[Answer, list[Entry]], None] = lambda *_: None,
    ) -> None:
        self._stream = stream
        self._lane = lane
        self._clock = clock
        self._rows_max = rows_max
        self._wait_s = wait_ms / 1000
        self._word_s = word_s
        self._on_written = on_written
        self._on_moved = on_moved
        self._on_placed = on_placed
        self._on_refused = on_refused
        self._on_answer = on_answer
        self._on_timers = on_timers
        self._on_events = on_events
        self._turns: list[Turn] = []
        self._moves: list[LooseMove] = []
        self._placements: list[Placement] = []
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._answered = asyncio.Event()
        self._answered.set()
        self._sent_s = 0.0
        self._lazy: asyncio.TimerHandle | None = None
        self._observe_s = telemetry.FLUSH_S.labels(stream="flush").observe
        self._observe_turns = telemetry.FLUSH_TURNS.labels(stream="flush").observe
        self._count = telemetry.FLUSHES.labels(stream="flush").inc

    @property
    def waiting(self) -> int:
        """Turns that wait to be written."""
        return len(self._turns)

    def add(self, turn: Turn) -> None:
        """Write the turn's changes with the next flush."""
        if not turn.is_queued_to_flush:
            turn.is_queued_to_flush = True
            self._turns.append(turn)
            self._idle.clear()
        self._work.set()

    def add_lazily(self, turn: Turn) -> None:
        """Write the turn's changes with the next flush that somebody else wants, or soon."""
        if not turn.is_queued_to_flush:
            turn.is_queued_to_flush = True
            self._turns.append(turn)
            self._idle.clear()
        if self._lazy is None:
            self._lazy = asyncio.get_running_loop().call_later(_LAZY_S, self._wake_lazily)

    def move(self, move: LooseMove) -> None:
        self._moves.append(move)
        self._idle.clear()
        self._work.set()

    def place(self, placement: Placement) -> None:
        self._placements.append(placement)
        self._idle.clear()
        self._work.set()

    def durable(self, turn: Turn) -> asyncio.Future[None]:
        """Resolves when what the turn has written so far is committed; OwnershipLostError when it never will be."""
        if turn.durable is None:
            turn.durable = asyncio.get_running_loop().create_future()
        self.add(turn)
        return turn.durable

    def is_word_old(self, owned: Owned) -> bool:
        """Whether it is long ago that the partition was known to be ours: this process may have been stopped since, and
        what it believes of its turns may be what others go on from.
        """
        return self._clock.monotonic_s() - owned.held_at_s > self._word_s

    async def drained(self) -> None:
        """Returns when nothing waits and nothing is in flight."""
        if self._turns or self._moves or self._placements:
            self._work.set()
        await self._idle.wait()

    async def answered(self) -> None:
        """Returns when what becomes of the flush in flight is known."""
        await self._answered.wait()

    @property
    def stalled_s(self) -> float:
        """For how long the flush in flight has been without an answer."""
        return 0.0 if self._answered.is_set() else self._clock.monotonic_s() - self._sent_s

    def _wake_lazily(self) -> None:
        self._lazy = None
        self._work.set()

    async def run(self) -> None:
        size = 0
        while True:
            await self._work.wait()
            if size > _BUSY_TURNS and len(self._turns) < self._rows_max:
                await self._clock.sleep(self._wait_s)
            else:
                # Two passes of the loop: what became runnable by the last answer joins this flush.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            turns, self._turns = self._turns[: self._rows_max], self._turns[self._rows_max :]
            moves, self._moves = self._moves, []
            placements, self._placements = self._placements, []
            if not self._turns:
                self._work.clear()
            size = len(turns)
            if turns or moves or placements:
                self._sent_s = self._clock.monotonic_s()
                self._answered.clear()
                await self._flush(turns, moves, placements)
                self._answered.set()
            if not (self._turns or self._moves or self._placements):
                self._idle.set()

    async def _flush(self, turns: list[Turn], moves: list[LooseMove], placements: list[Placement]) -> None:
        entries: list[Entry] = []
        for turn in turns:
            turn.is_queued_to_flush = False
            if turn.is_live:
                entries.append(Entry(turn))
            else:
                _tell(turn, turn.durable)
                turn.durable = None
        moves = [move for move in moves if not move.owned.is_void]
        placements = [placement for placement in placements if not placement.owned.is_void]
        if entries or moves or placements:
            await self._write(entries, moves, placements)

    async def _write(self, entries: list[Entry], moves: list[LooseMove], placements: list[Placement]) -> None:
        arrays = FlushArrays(self._lane)
        for entry in entries:
            arrays.add(entry)
        for move in moves:
            arrays.add_move(move.owned, move.inbox_id, move.to)
        for placement in placements:
            arrays.add_placement(placement.owned, placement.turn_id)
        crash_points.reach("before_flush")
        began_s = self._clock.monotonic_s()
        try:
            answer = await self._stream.call(STATEMENT, *arrays.arguments())
        except FlushRefusedError as error:
            await self._halve(entries, moves, placements, error)
            return
        except OwnershipLostError:
            # The database went back in time, or has forgotten this worker: nothing that this process holds is true.
            self._refuse([entry.turn for entry in entries], entries, arrays.owned())
            raise
        crash_points.reach("after_flush")
        self._observe_s(self._clock.monotonic_s() - began_s)
        self._observe_turns(len(entries))
        self._count()
        self._on_answer(answer)
        lost = []
        for owned, is_held in zip(arrays.owned(), answer.held or (), strict=True):
            if is_held:
                owned.held_at_s = max(owned.held_at_s, began_s)
            else:
                lost.append(owned)
        refused = [
            entry for index, entry in enumerate(entries) if answer.applied is not None and not answer.applied[index]
        ]
        if lost or refused:
            for owned in lost:
                owned.is_void = True
            self._refuse([entry.turn for entry in refused], refused, lost)
            dropped = {id(entry) for entry in refused}
            entries = [entry for entry in entries if id(entry) not in dropped]
        for entry in entries:
            entry.turn.durable_seq = entry.seq
            if entry.durable is not None and not entry.durable.done():
                entry.durable.set_result(None)
        self._on_events(answer, entries)
        await asyncio.sleep(0)  # who watches is told before all that a flush sets going
        if timers := [row.due_s for entry in entries for row in entry.inbox]:
            self._on_timers(timers)
        moved = [move.inbox_id for move in moves]
        for entry in entries:
            moved.extend(entry.moves)
        if moved:
            self._on_moved(moved)
        if placements:
            self._on_placed(placements)
        self._on_written([entry.turn for entry in entries])

    def _refuse(self, turns: list[Turn], entries: list[Entry], lost: list[Owned]) -> None:
        for owned in lost:
            owned.is_void = True
        for entry in entries:
            entry.turn.is_refused = True
            entry.turn.unwritten += entry.events
            _tell(entry.turn, entry.durable)
            # What it had in hand is due as before: it is looked at again.
            self._on_moved([*entry.moves, *entry.turn.seen, *entry.turn.deferred])
        self._on_refused(turns, lost)

    async def _halve(
        self, entries: list[Entry], moves: list[LooseMove], placements: list[Placement], error: FlushRefusedError
    ) -> None:
        """Somebody's entry is at fault; the others must not wait for it."""
        if not entries:
            raise error
        if moves or placements:
            await self._write([], moves, placements)
        if len(entries) == 1:
            entry = entries[0]
            if entry.is_poison:
                raise error
            self._on_moved([*entry.moves, *entry.turn.seen])  # due as before
            await self._write([entry.poisoned(str(error))], [], [])
            return
        half = len(entries) // 2
        for part in (entries[:half], entries[half:]):
            if part:
                await self._write(part, [], [])


def _tell(turn: Turn, durable: asyncio.Future[None] | None) -> None:
    if durable is not None and not durable.done():
        durable.set_exception(OwnershipLostError(f"turn {turn.turn_id} belongs to another process now"))
        durable.exception()  # nobody may be waiting any more
