"""Group commit: what all of a worker's turns want written goes out as one flush, one flush at a time.

Rules:
- One flush is in flight at a time, and a turn has one row in it: what it was when the flush before was sent, what it
  is now, and all its events in between; if those exceed FLUSH_SIZE_BYTES_MAX, the first of them (FlushEntry.split).
- Flushes are numbered, so after an unknown outcome the same call is sent again (argosy/store/numbered_stream.py).
  Followers and the other parts of the worker are told of a flush only after its answer.
- A flush goes out at once; but after a busy one the flusher collects for FLUSH_WAIT_MS, unless a full batch waits.
- A turn whose fence does not hold, or whose row is not as expected, is refused: this memory of it never writes again.
- A flush that Postgres refuses for its content is halved until what is at fault stands alone: then a turn is parked, an
  inbox row is left as it is. A flush that Postgres does not get done with is halved, too; a single row is sent again.
- No error but Fault.END (nothing that this process holds is true any more) ends the loop.
"""

import asyncio
import uuid
from typing import Final

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import FlushRefusedError, FlushSlowError, OwnershipLostError
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of
from argosy.store.numbered_stream import NumberedStream
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.flush.flush_entry import STATEMENT, FlushArrays, FlushEntry
from argosy.workers.dispatch.flush.flush_queue import (
    AfterFlush,
    FlushBatch,
    Flushed,
    FlushQueue,
    LooseMove,
    Placement,
    Refused,
    tell_lost,
)
from argosy.workers.dispatch.flush.sealed_entry import sealers_of
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Turn

_BUSY_TURNS: Final = 16  # after a flush of more turns than this, collecting more for the next one pays
_SLOW_S: Final = 1.0  # before the last try of a single change: Postgres is busy with others
_LAZY_S: Final = 0.02  # how long changes that nothing awaits may wait for a flush that others cause

log = telemetry.logger()


class Flusher:
    """Writes what turns add; `run` goes on until it is cancelled.

    then: told of what was written and what was refused.
    """

    def __init__(
        self,
        stream: NumberedStream,
        clock: Clock,
        database_clock: DatabaseClock,
        settings: Settings,
        then: AfterFlush,
    ) -> None:
        self._stream = stream
        self._lane = settings.lane
        self._clock = clock
        self._database_clock = database_clock
        self._then = then
        self._queue = FlushQueue(rows_max=settings.flush_rows_max, size_bytes_max=settings.flush_size_bytes_max)
        self._queue_size_bytes_max = settings.flush_queue_size_bytes_max
        self._void = FlushArrays(self._lane).arguments()
        self._rounds = Rounds("flusher", clock)
        self._wait_s = settings.flush_wait_ms / 1000
        # How long Postgres's word counts that a partition is ours: longer than a flush takes, shorter than others wait
        # before they take over.
        self._word_s = settings.heartbeat_ttl_s / 3
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._answered = asyncio.Event()
        self._answered.set()
        self._sent_s = 0.0
        self._lazy: asyncio.TimerHandle | None = None
        # Not the running loop: what records is the code of a turn, maybe, under the turn's own loop.
        self._loop = asyncio.get_running_loop()
        self._observe_s = telemetry.FLUSH_S.labels(stream="flush").observe
        self._observe_turns = telemetry.FLUSH_TURNS.labels(stream="flush").observe
        self._count = telemetry.FLUSHES.labels(stream="flush").inc

    @property
    def waiting(self) -> int:
        """How many turns wait to be written."""
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether so many bytes wait to be written that nothing new should begin."""
        return self._queue.size_bytes > self._queue_size_bytes_max

    async def room(self) -> None:
        """Return when the queue is not full any more."""
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def add(self, turn: Turn) -> None:
        """Write the turn's changes with the next flush."""
        self._queue.add(turn)
        self._wake()

    def add_lazily(self, turn: Turn) -> None:
        """Write the turn's changes with the next flush that another turn wants, after _LAZY_S, or with a full batch."""
        self._queue.add(turn)
        self._idle.clear()
        if self._queue.is_full_batch:
            self._work.set()
        elif self._lazy is None:
            self._lazy = self._loop.call_later(_LAZY_S, self._wake_lazily)

    def move(self, move: LooseMove) -> None:
        self._queue.move(move)
        self._wake()

    def place(self, placement: Placement) -> None:
        self._queue.place(placement)
        self._wake()

    def _wake(self) -> None:
        self._idle.clear()
        self._work.set()

    def durable(self, turn: Turn) -> asyncio.Future[None]:
        """Return a future: done when all that the turn wrote is committed; OwnershipLostError when it never will be."""
        future: asyncio.Future[None] = self._loop.create_future()
        turn.await_commit(future)  # one for each caller: a task that is cancelled cancels what it awaits
        self.add(turn)
        return future

    def is_word_old(self, owned: Owned) -> bool:
        """Whether Postgres said too long ago that the partition is ours: this process may have been stopped since, and
        other workers may have gone on with turns that it still believes to be its own.
        """
        return self._clock.monotonic_s() - owned.held_at_s > self._word_s

    async def drained(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        if self._queue:
            self._work.set()
        await self._idle.wait()

    async def answered(self) -> None:
        """Return when the outcome of the flush in flight is known."""
        await self._answered.wait()

    @property
    def stalled_s(self) -> float:
        """How long the flush in flight has waited for its answer; 0 when none is in flight."""
        return 0.0 if self._answered.is_set() else self._clock.monotonic_s() - self._sent_s

    def _wake_lazily(self) -> None:
        self._lazy = None
        self._work.set()

    async def run(self) -> None:
        count = 0
        while True:
            await self._work.wait()
            if count > _BUSY_TURNS and not self._queue.is_full_batch:
                await self._clock.sleep(self._wait_s)
            else:
                # Two passes of the loop: tasks that the last answer made runnable add their turns to this flush.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            batch = self._queue.take()
            if not self._queue:
                self._work.clear()
            if not self.is_full:
                self._has_room.set()
            count = len(batch.entries)
            if batch.row_count:
                self._sent_s = self._clock.monotonic_s()
                self._answered.clear()
                async with self._rounds:
                    await self._flush(batch)
                self._answered.set()
            if not self._queue:
                self._idle.set()

    async def _flush(self, batch: FlushBatch) -> None:
        try:
            await self._write(batch)
        except Exception as error:
            if fault_of(error) is not Fault.END:  # unforeseen: only what Postgres has of these turns counts
                lost = [each for each in batch.entries if each.turn.is_live and each.turn.durable_seq < each.seq]
                self._refuse(lost, [])
            raise

    async def _write(self, batch: FlushBatch, *, is_last_resort: bool = False) -> None:
        """Write the batch. is_last_resort: send the call until Postgres answers, however slow it is."""
        entries, moves, placements = batch
        turns = (entry.turn for entry in entries)
        arrays = FlushArrays(self._lane, await sealers_of(self._stream.seals, turns, self._clock))
        for entry in entries:
            arrays.add(entry)
        for move in moves:
            arrays.add_move(move.owned, move.inbox_id, move.to)
        for placement in placements:
            arrays.add_placement(placement.owned, placement.turn_id)
        crash_points.reach("before_flush")
        began_s = self._clock.monotonic_s()
        try:
            answer = await self._stream.call(
                STATEMENT, *arrays.arguments(), void=None if is_last_resort else self._void
            )
        except FlushRefusedError as error:
            await self._halve(batch, error)
            return
        except OwnershipLostError:
            # The database went back in time, or has forgotten this worker: nothing that this process holds is true.
            self._refuse(entries, arrays.owned())
            raise
        crash_points.reach("after_flush")
        self._observe_s(self._clock.monotonic_s() - began_s)
        self._observe_turns(len(entries))
        self._count()
        self._database_clock.set(answer.at)
        lost = []
        for owned, is_held in zip(arrays.owned(), answer.held or (), strict=True):
            if is_held:
                owned.confirm(began_s)
            else:
                lost.append(owned)
        refused = [
            entry for index, entry in enumerate(entries) if answer.applied is not None and not answer.applied[index]
        ]
        if lost or refused:
            self._refuse(refused, lost)
            dropped = {id(entry) for entry in refused}
            entries = [entry for entry in entries if id(entry) not in dropped]
        for entry in entries:
            entry.turn.committed(entry.seq)
            if entry.turn.owned.is_lent:
                entry.turn.owned.confirm(began_s)
            for durable in entry.durable or ():
                if not durable.done():
                    durable.set_result(None)
        await self._then.after_flush(Flushed(answer, entries, moves, placements))

    def _refuse(self, entries: list[FlushEntry], lost: list[Owned]) -> None:
        for owned in lost:
            owned.lose()
        inbox_ids: list[uuid.UUID] = []
        for entry in entries:
            turn = entry.turn
            turn.refuse()
            turn.keep_unwritten(entry.events)
            tell_lost(turn, entry.durable)
            inbox_ids += [*entry.moves, *turn.seen, *turn.deferred]
        self._then.after_refusal(Refused([entry.turn for entry in entries], lost, inbox_ids))

    async def _halve(self, batch: FlushBatch, error: FlushRefusedError) -> None:
        """Write the batch in parts: something in it is at fault, or it is too much at once; the rest must not wait."""
        why = "slow" if isinstance(error, FlushSlowError) else "refused"
        telemetry.FLUSHES_SPLIT.labels(stream="flush", why=why).inc()
        log.warning(telemetry.FLUSH_SPLIT, why=why, turns=len(batch.entries), rows=batch.row_count, error=str(error))
        if len(parts := batch.halves()) > 1:
            for part in parts:
                await self._write(part)
        elif batch.entries and len(batch.entries[0].events) > 1:
            await self._write_apart(batch.entries[0])
        elif isinstance(error, FlushSlowError):
            await self._clock.sleep(_SLOW_S)
            await self._write(batch, is_last_resort=True)
        elif batch.entries:
            await self._give_up(batch.entries[0], error)
        else:
            # The inbox row stays as it is; the next read finds it again.
            self._rounds.say(error, rows=[str(each[1]) for each in (*batch.moves, *batch.placements)])

    async def _write_apart(self, entry: FlushEntry) -> None:
        first = entry.split(entry.size_bytes // 2)
        await self._write(FlushBatch([first], [], []))
        if entry.turn.is_live and not first.is_poison:
            await self._write(FlushBatch([entry], [], []))
        else:
            entry.turn.keep_unwritten(entry.events)
            tell_lost(entry.turn, entry.durable)

    async def _give_up(self, entry: FlushEntry, error: FlushRefusedError) -> None:
        """Park a turn of which Postgres refuses an event."""
        if not entry.is_poison:
            self._then.after_parking([*entry.moves, *entry.turn.seen])
            await self._write(FlushBatch([entry.poisoned(str(error))], [], []))
            return
        # Postgres refuses even to park the turn: it stays in memory as it is, and its session waits for an operator.
        telemetry.TURNS_UNWRITABLE.inc()
        log.error(telemetry.TURN_UNWRITABLE, turn_id=str(entry.turn.turn_id), error=str(error))
        entry.turn.refuse()
        tell_lost(entry.turn, entry.durable)
