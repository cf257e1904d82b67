"""From the log into Postgres: contiguous records of owned partitions become turns, one accept at a time.

Rules (I1; a prototype that did not keep them lost one turn in 35,000):
- A record counts only if the reader polled it in the reading of its partition that goes on now.
- An accept begins at the partition's position and leaves out nothing that was read. Each batch begins where the one
  before it ended (Batch.begin); otherwise the partition is read again from its position, as a new reading.
- Positions without a record (transactions of a foreign producer, compaction) are passed, any number of them, where the
  reader says that the log has none there and that is believed (argosy/consuming/continuity.py).
- A record that cannot become a turn becomes a dead letter, in the same transaction, and the position passes it. So
  does one that is too old to be a new turn (lateness.py), unless Postgres has its turn.
"""

import asyncio
import uuid

import structlog

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.consuming.continuity import is_continued
from argosy.errors import FlushRefusedError, FlushSlowError, OwnershipLostError, RecordError
from argosy.log import Batch, LogReader
from argosy.rounds import Rounds
from argosy.store.fault import Fault, fault_of
from argosy.store.numbered_stream import Answer, NumberedStream
from argosy.store.start import StartRow
from argosy.workers.dispatch import turn_times
from argosy.workers.dispatch.accept.accept_arrays import STATEMENT, AcceptArrays
from argosy.workers.dispatch.accept.accepted import Accepted, AfterAccept
from argosy.workers.dispatch.accept.aside import Aside
from argosy.workers.dispatch.accept.backlog import Backlog, Taken
from argosy.workers.dispatch.accept.record_payloads import AS_THEY_ARE, RecordPayloads, payloads_of
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.owned import Hole, Owned
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn

log = structlog.get_logger()

# A partition, its new position, and the database time through which it is accepted; None leaves either as it is.
Move = tuple[Owned, int | None, float | None]


class Intake:
    """Accepts what the reader delivers; `run` goes on until it is cancelled. then: told what became of records."""

    def __init__(
        self,
        stream: NumberedStream,
        reader: LogReader,
        scheduler: Scheduler,
        claims: Claims,
        clock: Clock,
        settings: Settings,
        then: AfterAccept,
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._scheduler = scheduler
        self._claims = claims
        self._clock = clock
        self._then = then
        self._lane = settings.lane
        self._backlog = Backlog(
            claims, batch_max=settings.log_batch_max, batch_size_bytes_max=settings.log_batch_size_bytes_max
        )
        self._rounds = Rounds("intake", clock)
        self._ready_sessions_max = settings.ready_sessions_max
        self._input_max = settings.head_input_size_bytes_max
        self._reading_no = 0
        self._sent_s: float | None = None
        self._is_paused = False
        self._work = asyncio.Event()
        self.room = asyncio.Event()  # not set while so many sessions are ready that memory should hold no more turns
        self.room.set()
        self._calling = asyncio.Lock()
        self._observe_s = telemetry.FLUSH_S.labels("accept").observe
        self._observe_turns = telemetry.FLUSH_TURNS.labels("accept").observe
        self._count = telemetry.FLUSHES.labels("accept").inc

    def take(self, batch: Batch) -> None:
        """Take a batch that the reader delivers; drop a batch of another reading."""
        crash_points.reach("after_poll")
        owned = self._claims.owned.get(batch.partition)
        if owned is None or owned.is_void or owned.reading_no != batch.reading_no:
            return
        if not is_continued(owned, batch):
            found = batch.records[0].position if batch.records else batch.end
            telemetry.GAPS.inc()
            log.warning(telemetry.LOG_GAP, partition=owned.partition, expected=owned.next_read, found=found)
            self.rewind(owned)
            self.restart(owned)
            return
        for each in batch.records:
            if each.position >= owned.next_read:
                self._backlog.add(owned, each)
        if batch.end > owned.next_read:
            self._backlog.add(owned, Hole(batch.end - 1))
        self._work.set()
        self.balance()

    @property
    def stalled_s(self) -> float:
        """How long the accept in flight has waited for its answer; 0 when none is in flight."""
        return 0.0 if self._sent_s is None else self._clock.monotonic_s() - self._sent_s

    def rewind(self, owned: Owned) -> None:
        """Drop what was read and not accepted, and expect it again from the position. An accept in flight may move the
        position meanwhile: what it took is then read twice, and Backlog.take drops the second copy.
        """
        self.forget(owned)
        owned.expect(owned.position)

    def restart(self, owned: Owned) -> None:
        """Read the partition again from its position, under a new number."""
        self._reading_no += 1
        owned.read_as(self._reading_no)
        self._reader.start(owned.partition, owned.position, owned.reading_no)

    def forget(self, owned: Owned) -> None:
        """Drop the partition's backlog."""
        self._backlog.forget(owned)

    def balance(self) -> None:
        """Pause or resume the reader, by how many sessions are ready and records not accepted; never by one session."""
        too_many = self._scheduler.ready_count > self._ready_sessions_max
        has_room = self._scheduler.ready_count <= self._ready_sessions_max * 0.7
        if too_many:
            self.room.clear()
        elif has_room:
            self.room.set()
        if not self._is_paused and (too_many or self._backlog.is_long):
            self._is_paused = True
            self._reader.pause()
        elif self._is_paused and has_room and self._backlog.is_short:
            self._is_paused = False
            self._reader.resume()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            taken = self._backlog.take()
            if not taken:
                if not self._backlog.count:
                    self._work.clear()
                continue
            async with self._rounds, self._calling:
                await self._accept_or_read_again(taken)
            self.balance()

    async def move(self, moves: list[Move]) -> None:
        """Set partitions' positions, or the time through which they are accepted, without accepting a record. A
        partition whose fence does not hold is void afterwards.
        """
        async with self._calling:
            arrays = self._arrays()
            for owned, position, through_s in moves:
                if not owned.is_void:
                    arrays.add_partition(owned, owned.position if position is None else position, through_s)
            if arrays.partitions:
                await self._call(arrays, [], Aside())

    async def start(
        self, starts: list[tuple[Owned, StartRow]], *, is_last_resort: bool = False
    ) -> list[tuple[Owned, StartRow, RecordError]]:
        """Accept turns that other turns started; return those that cannot become turns. Raises FlushRefusedError."""
        refused: list[tuple[Owned, StartRow, RecordError]] = []
        async with self._calling:
            arrays = self._arrays(await payloads_of(self._stream.seals, (row.record for _, row in starts)))
            turns: list[Turn] = []
            for owned, row in starts:
                try:
                    if not owned.is_void:
                        turns.append(arrays.add_start(owned, row, self._claims.partition_count))
                except RecordError as error:
                    refused.append((owned, row, error))
            if turns:
                await self._call(arrays, turns, Aside(), is_last_resort=is_last_resort)
        return refused

    async def _accept_or_read_again(self, taken: list[Taken]) -> None:
        try:
            await self._accept(taken)
        except Exception as error:
            if fault_of(error) is not Fault.END:  # unforeseen: read again what was taken and not accepted
                for owned, _ in taken:
                    if not owned.is_void and owned.is_reading:
                        self.rewind(owned)
                        self.restart(owned)
            raise

    async def _accept(self, taken: list[Taken], *, is_last_resort: bool = False) -> None:
        """Accept these records. is_last_resort: send the call until Postgres answers, however slow it is."""
        values = (each.value for _, records in taken for each in records if not isinstance(each, Hole))
        arrays = self._arrays(await payloads_of(self._stream.seals, values))
        turns: list[Turn] = []
        aside = Aside()
        for owned, records in taken:
            position = records[-1].position + 1
            arrays.add_partition(owned, position, owned.take_mark(position))
            for each in records:
                if isinstance(each, Hole):
                    continue
                try:
                    turns.append(arrays.add(owned, each, self._claims.partition_count))
                except RecordError as error:
                    arrays.add_dead_letter(owned, each, error)
                    aside.add(owned, each, error)
        try:
            answer = await self._call(arrays, turns, aside, is_last_resort=is_last_resort)
        except FlushRefusedError as error:
            # The checks above passed, so the record at fault must be found; it becomes a dead letter, too.
            await self._halve(taken, error)
        else:
            aside.say(answer.applied)
            turn_times.accepted(turns)

    async def _halve(self, taken: list[Taken], error: FlushRefusedError) -> None:
        """Accept in parts what Postgres refused or was too slow for, down to a single record."""
        telemetry.FLUSHES_SPLIT.labels(stream="accept", why=type(error).__name__).inc()
        if len(taken) > 1:
            for part in taken:
                await self._accept([part])
            return
        owned, records = taken[0]
        if owned.is_void:
            return
        if len(records) > 1:
            half = len(records) // 2
            await self._accept([(owned, records[:half])])
            if not owned.is_void:
                await self._accept([(owned, records[half:])])
            return
        if isinstance(error, FlushSlowError):
            await self._accept(taken, is_last_resort=True)
            return
        refused = records[0]
        if isinstance(refused, Hole):
            raise error
        arrays = self._arrays()
        arrays.add_partition(owned, refused.position + 1, None)
        fault = RecordError(f"Postgres refuses it: {error}")
        arrays.add_dead_letter(owned, refused, fault)
        telemetry.DEAD_LETTERS.labels(code="refused_by_store").inc()
        log.error(telemetry.RECORD_KEPT_ASIDE, partition=owned.partition, position=refused.position, reason=str(error))
        aside = Aside()
        aside.add(owned, refused, fault)
        await self._call(arrays, [], aside)

    def _arrays(self, payloads: RecordPayloads = AS_THEY_ARE) -> AcceptArrays:
        return AcceptArrays(self._lane, self._claims.log.log_id, self._input_max, payloads)

    async def _call(
        self, arrays: AcceptArrays, turns: list[Turn], aside: Aside, *, is_last_resort: bool = True
    ) -> Answer:
        crash_points.reach("before_accept")
        began_s = self._sent_s = self._clock.monotonic_s()
        try:
            void = None if is_last_resort else self._arrays().arguments()
            with self._scheduler.reads.begin() as read:
                answer = await self._stream.call(STATEMENT, *arrays.arguments(), void=void)
        except OwnershipLostError:
            # The database went back in time, or has forgotten this worker: all that it owned is void.
            lost = [owned for owned, _ in arrays.partitions]
            for owned in lost:
                owned.lose()
            self._then.after_losses(lost)
            raise
        finally:
            self._sent_s = None
        crash_points.reach("after_accept")
        self._observe_s(self._clock.monotonic_s() - began_s)
        self._observe_turns(len(turns))
        self._count()
        telemetry.ACCEPTED.inc(len(turns))
        held = answer.held or ()
        lost = [owned for (owned, _), is_held in zip(arrays.partitions, held, strict=True) if not is_held]
        now_s, accepted_s = self._clock.unix_ms() / 1_000, answer.at.timestamp()
        for (owned, position), through, is_held in zip(arrays.partitions, arrays.through, held, strict=True):
            if is_held:
                owned.confirm(began_s)
            if is_held and through is not None:
                owned.accept_through(through.timestamp(), now_s)
            if is_held and position is not None:
                owned.accept_to(position)
                self._reader.accepted(owned.partition, position)
        placed: list[tuple[Turn, bool]] = []
        settled: list[uuid.UUID] = []
        for turn, place, is_head in zip(turns, answer.places or (), answer.heads or (), strict=False):
            if place is None:
                settled.append(turn.turn_id)
            elif not turn.owned.is_void:
                turn.place_at(place, accepted_s)
                placed.append((turn, is_head))
        settled += aside.turn_ids(self._rounds)
        for owned in lost:
            owned.lose()
        self._then.after_accept(Accepted(answer.at, placed, settled, lost, read))
        return answer
