"""One partition of a topic that this worker reads: from the reader through the mapping into the graph, in order."""

import asyncio
import itertools
from collections import deque
from typing import Final

import structlog

from argosy import telemetry
from argosy.consuming.continuity import Reading, is_continued
from argosy.consuming.where import where_to_read
from argosy.log import Batch, LogReader, Record, Span
from argosy.workers.ingest.topics.mapped import number_of
from argosy.workers.ingest.topics.mapper import Mapper
from argosy.workers.ingest.topics.topic_feed import TopicFeed
from argosy.workers.ingest.topics.topic_notes import TopicNotes

log = structlog.get_logger()

_RECORDS_MAX: Final = 500  # that are mapped at once
_SIZE_BYTES_MAX: Final = 262_144  # of their values, beyond the last one


class TopicPartition(Reading):
    """`run` goes on until it is cancelled. room_size_bytes: what may be held; beyond it, reading stops for a while.
    reading_nos: numbers of readings, which no two readings of a partition share.
    """

    def __init__(
        self,
        topic: str,
        feed: TopicFeed,
        mapper: Mapper,
        reader: LogReader,
        notes: TopicNotes,
        reading_nos: "itertools.count[int]",
    ) -> None:
        super().__init__()
        self.number = feed.partition
        self.room_size_bytes = 0
        self._topic = topic
        self._feed = feed
        self._mapper = mapper
        self._reader = reader
        self._notes = notes
        self._reading_nos = reading_nos
        self._held: deque[Record] = deque()
        self._held_size_bytes = 0
        self._taken = 0  # the offset behind what was taken of what was read
        self._work = asyncio.Event()
        self._records = telemetry.TOPIC_RECORDS.labels(topic=topic)
        self._lag = telemetry.TOPIC_LAG.labels(topic=topic, partition=str(self.number))

    async def run(self) -> None:
        """Read from where the graph's file is; if it knows nothing of the partition, from where Postgres is. Raises
        UnavailableError, GraphNotFoundError.
        """
        wanted = await self._feed.begin()
        if wanted is None:
            wanted = self._notes.positions[self.number]
        span = (await self._reader.spans([self.number]))[self.number]
        begin = where_to_read(wanted, span)
        if begin != wanted:
            self._say_missing(wanted, span)
            begin = begin if wanted < span.begin else span.end
        self._notes.pass_to(self.number, begin)
        self._restart(begin)
        while True:
            await self._work.wait()
            records, end = self._take()
            if records:
                lines = await self._mapper.lines_of(self.number, records)
                await self._feed.put(lines, number_of(end))
                self._records.inc(len(records))
            self._notes.pass_to(self.number, end)
            self._read_on()

    def take(self, batch: Batch) -> None:
        """Take a batch that the reader delivers; drop a batch of another reading."""
        if batch.reading_no != self.reading_no:
            return
        if not is_continued(self, batch):
            found = batch.records[0].position if batch.records else batch.end
            telemetry.GAPS.inc()
            log.warning(
                telemetry.LOG_GAP, topic=self._topic, partition=self.number, expected=self.next_read, found=found
            )
            self._restart(self._taken)
            return
        for each in batch.records:
            if each.position >= self.next_read:
                self._held.append(each)
                self._held_size_bytes += _size_bytes_of(each)
        self.expect(max(self.next_read, batch.end))
        self._work.set()
        if self._held_size_bytes > self.room_size_bytes:
            self._reader.stop(self.number)
            self.read_no_more()

    def stop(self) -> None:
        """Let the reader deliver nothing of it any more."""
        self._reader.stop(self.number)
        self._notes.forget(self.number)
        self._lag.set(0)

    def lacks(self, before: int, span: Span) -> bool:
        """Whether the topic does not hold what is to be read next, so that the partition must begin anew. span: as the
        log answered; before: next_read when it was asked.
        """
        self._lag.set(max(0, span.end - self._taken))
        return self.is_reading and (before > span.end or self.next_read < span.begin)

    def _take(self) -> tuple[list[Record], int]:
        """Remove and return the records that are mapped next, and the offset behind them."""
        records: list[Record] = []
        size_bytes = 0
        while self._held and len(records) < _RECORDS_MAX and size_bytes < _SIZE_BYTES_MAX:
            size_bytes += _size_bytes_of(self._held[0])
            records.append(self._held.popleft())
        self._held_size_bytes -= size_bytes
        self._taken = self._held[0].position if self._held else self.next_read
        if not self._held:
            self._work.clear()
        return records, self._taken

    def _read_on(self) -> None:
        """Read again once there is room."""
        if not self.is_reading and self._held_size_bytes <= self.room_size_bytes // 2:
            self._start(self.next_read)

    def _restart(self, offset: int) -> None:
        """Drop what was read and not taken, and read it again."""
        self._held.clear()
        self._held_size_bytes = 0
        self._taken = offset
        self.expect(offset)
        self._start(offset)

    def _start(self, offset: int) -> None:
        self.read_as(next(self._reading_nos))
        self._reader.start(self.number, offset, self.reading_no)

    def _say_missing(self, offset: int, span: Span) -> None:
        words = (
            f"offsets {offset} to {span.begin - 1} were deleted before they were read"
            if offset < span.begin
            else f"it ends at {span.end} and was read up to {offset}: it lost its end, and what comes at these offsets "
            "counts as read"
        )
        log.error(telemetry.TOPIC_LACKS, topic=self._topic, partition=self.number, consequence=words)


def _size_bytes_of(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
