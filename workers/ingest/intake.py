"""Reads the partitions that the log says this worker is eligible for, and takes their records in.

Nobody owns a partition: two workers that read the same one send lines that the graph's file knows, and note positions
that are true. So a word of the log that is old does no harm, and nothing is waited for.

Rules:
- A partition is read from the position that Postgres has for this log (where_to_read), under a number of its own. Where
  the log lacks that position, records are lost: it is said, and the partition is read from its earliest record.
- A batch that leaves something out is not taken: the partition is read again (is_continued).
- A record that cannot be decoded is kept as a dead letter, and passed.
- What is held is bounded: at INGEST_HELD_SIZE_BYTES_MAX nothing more is read, until half of it is gone. Records of
  graphs that wait must not fill it: a partition with more of those than INGEST_PARTITION_HELD_SIZE_BYTES_MAX, or than
  its share of half of it all, is stopped until half of that is gone, and the graphs behind in it wait, too.
- When the database went back, or the log is another one, everything is forgotten and read again.
"""

import asyncio
from typing import Final

import structlog

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.consuming.continuity import is_continued
from argosy.consuming.log_guard import LogGuard
from argosy.consuming.where import is_missing, where_to_read
from argosy.errors import NewerRecordError, RecordError
from argosy.ingest.record import decode
from argosy.log import Batch, Identity, LogReader
from argosy.rounds import Rounds
from argosy.store.ingest_notes import DeadRecord, Notes
from argosy.workers.ingest.loading import Loading
from argosy.workers.ingest.partition import Partition
from argosy.workers.ingest.progress import Progress

log = structlog.get_logger()

_LOOK_S: Final = 1.0  # between two looks at the log
_BALANCE_S: Final = 0.25


class Intake:
    """The partitions that this worker reads. `run` until cancelled, after `begin`."""

    def __init__(
        self,
        reader: LogReader,
        notes: Notes,
        guard: LogGuard,
        progress: Progress,
        loading: Loading,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._notes = notes
        self._guard = guard
        self._progress = progress
        self._loading = loading
        self._clock = clock
        self._held_max = settings.ingest_held_size_bytes_max
        self._partition_held_max = settings.ingest_partition_held_size_bytes_max
        self._reading: dict[int, Partition] = {}
        self._eligible: frozenset[int] = frozenset()
        self._stopped: set[int] = set()
        self._reading_no = 0
        self._is_paused = self._is_draining = False
        self._has_to_begin = True
        self._news = asyncio.Event()
        self.partition_count = 0

    @property
    def numbers(self) -> list[int]:
        return sorted(self._reading)

    @property
    def lag(self) -> int:
        return sum(each.undone for each in self._reading.values())

    @property
    def has_begun(self) -> bool:
        """Whether every partition that this worker is eligible for is read."""
        return not self._has_to_begin and self._eligible <= self._reading.keys()

    # What the reader says

    def begin(self, identity: Identity) -> None:
        self._notes.log_id = identity.log_id
        self.partition_count = identity.partition_count

    def eligible(self, partitions: frozenset[int]) -> None:
        self._eligible = partitions
        self._news.set()

    def take(self, batch: Batch) -> None:
        """Take in a batch that the reader delivers; drop a batch of another reading."""
        crash_points.reach("ingest_polled")
        partition = self._reading.get(batch.partition)
        if partition is None or partition.reading.reading_no != batch.reading_no:
            return
        reading = partition.reading
        if not is_continued(reading, batch):
            telemetry.GAPS.inc()
            found = batch.records[0].position if batch.records else batch.end
            log.warning(telemetry.LOG_GAP, partition=partition.number, expected=reading.next_read, found=found)
            self._read_on(partition)
            return
        for each in batch.records:
            if each.position < reading.next_read:
                continue
            reading.expect(each.position + 1)
            try:
                if each.fault is not None:
                    raise each.fault
                self._loading.add(partition, decode(each.value), each)
            except NewerRecordError as error:
                self._leave_to_newer(partition, each.position, error)
                return
            except RecordError as error:
                self._keep_aside(partition, each.position, each.value or b"", error)
        if batch.end > reading.next_read:
            reading.expect(batch.end)
            partition.skip_to(batch.end)
        self._balance()

    def _leave_to_newer(self, partition: Partition, position: int, error: NewerRecordError) -> None:
        """Read the partition no further: what this worker cannot read a newer one can, and no line may be passed."""
        where = {"partition": partition.number, "position": position}
        log.error(
            telemetry.INGEST_RECORD_NEWER, **where, error=str(error), what_to_do="end this worker: a newer one reads on"
        )
        self._reader.stop(partition.number)
        partition.reading.read_no_more()
        partition.reading.expect(position)

    def _keep_aside(self, partition: Partition, position: int, value: bytes, error: RecordError) -> None:
        telemetry.DEAD_LETTERS.labels(code=error.code).inc()
        log.warning(telemetry.RECORD_KEPT_ASIDE, partition=partition.number, position=position, reason=str(error))
        self._progress.dead(DeadRecord(partition.number, position, value, error.code, str(error)))
        partition.skip_to(position + 1)

    # Reading

    async def run(self) -> None:
        rounds, looked_at_s = Rounds("ingest intake", self._clock), float("-inf")
        while True:
            async with rounds:
                if self._has_to_begin:
                    await self._notes.begin()
                    self._has_to_begin = False
                is_time = self._clock.monotonic_s() - looked_at_s >= _LOOK_S
                if self._news.is_set() or is_time:
                    self._news.clear()
                    looked_at_s = self._clock.monotonic_s()
                    await self._look()
                self._balance()
                if not self._is_draining:
                    self._stop_full()
            try:
                async with asyncio.timeout(_BALANCE_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    def begin_again(self) -> None:
        """Forget everything and read again: what was found out does not hold any more."""
        log.warning(telemetry.INGEST_BEGUN_AGAIN, partitions=self.numbers)
        for partition in list(self._reading.values()):
            self._stop(partition)
        self._progress.forget()
        self._loading.drop_old()
        self._has_to_begin = True
        self._news.set()

    def drain(self) -> None:
        """Read nothing more."""
        self._is_draining = True
        for partition in list(self._reading.values()):
            self._reader.stop(partition.number)

    async def _look(self) -> None:
        if (replaced := await self._guard.look()) is not None:
            self.begin_again()
            self.begin(replaced)
            await self._notes.begin()
            self._has_to_begin = False
        for number in self._reading.keys() - self._eligible:
            self._stop(self._reading[number])
        for number in [each for each in self._progress.set_back if each in self._reading]:
            self._stop(self._reading[number])
        self._progress.set_back.clear()
        if not self._is_draining and (new := sorted(self._eligible - self._reading.keys())):
            await self._start(new)
        await self._look_at_spans()

    async def _start(self, new: list[int]) -> None:
        spans = await self._reader.spans(new)
        positions = await self._notes.open_positions({number: spans[number].begin for number in new})
        for number in new:
            position, span = positions[number], spans[number]
            first = where_to_read(position, span)
            if first != position:
                await self._guard.lacks(number, position, span)
                await self._notes.reset(number, position, first)
            if number not in self._eligible or number in self._reading or self._has_to_begin:
                continue
            self._reading_no += 1
            partition = self._reading[number] = Partition(number, first, self._reading_no)
            self._progress.read(partition)
            telemetry.INGEST_LAG.labels(partition=number).set(0)
            self._reader.start(number, first, self._reading_no)

    def _stop(self, partition: Partition) -> None:
        """Read this partition no more. What there is of it is dropped: whoever reads it next begins at its position."""
        partition.is_over = True
        del self._reading[partition.number]
        self._stopped.discard(partition.number)
        self._reader.stop(partition.number)
        self._progress.leave(partition)
        self._loading.drop_old()
        telemetry.INGEST_LAG.remove(partition.number)

    def _read_on(self, partition: Partition) -> None:
        """Read the partition from the next position on, under a new number."""
        self._reading_no += 1
        partition.reading.read_as(self._reading_no)
        self._reader.start(partition.number, partition.reading.next_read, self._reading_no)

    async def _look_at_spans(self) -> None:
        """Compare positions with what the log holds, and take in which partitions are read to their end."""
        if not (before := {each: each.position for each in self._reading.values()}):
            return
        asked_at_s = self._clock.monotonic_s() - 1.0  # clocks of the log and of gateways differ a little
        spans = await self._reader.spans([each.number for each in before])
        for partition, position in before.items():
            if partition.is_over or (span := spans.get(partition.number)) is None:
                continue
            telemetry.INGEST_LAG.labels(partition=partition.number).set(max(0, span.end - partition.position))
            if is_missing(position, partition.reading.next_read, span):
                await self._guard.lacks(partition.number, position, span)
                await self._notes.reset(partition.number, partition.noted, span.begin)
                self._stop(partition)
                self._news.set()
            elif position >= span.end:
                self._progress.idle(partition, asked_at_s)

    # What is held

    def _balance(self) -> None:
        held = sum(each.held_size_bytes for each in self._reading.values()) + self._progress.held_size_bytes
        telemetry.INGEST_HELD_BYTES.set(held)
        if not self._is_paused and held >= self._held_max:
            self._is_paused = True
            self._reader.pause()
        elif self._is_paused and held <= self._held_max // 2:
            self._is_paused = False
            self._reader.resume()

    def _stop_full(self) -> None:
        """Stop partitions with too many records of graphs that wait, and go on with those that have few again."""
        waiting = self._loading.waiting_size_bytes()
        share = min(self._partition_held_max, self._held_max // 2 // max(1, len(self._reading)))
        for number, partition in self._reading.items():
            if number not in self._stopped and waiting[number] >= share:
                self._stopped.add(number)
                self._reader.stop(number)
                partition.reading.read_no_more()
                log.warning(telemetry.INGEST_PARTITION_PAUSED, partition=number, waiting_size_bytes=waiting[number])
            elif number in self._stopped and waiting[number] <= share // 2:
                self._stopped.discard(number)
                self._read_on(partition)
                log.info(telemetry.INGEST_PARTITION_RESUMED, partition=number)
        telemetry.INGEST_PARTITIONS_PAUSED.set(len(self._stopped))
