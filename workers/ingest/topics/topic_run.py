"""One run of a source: one topic, as it is now, into one life of its graph."""

import asyncio
import contextlib
import itertools
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.config.topic_sources import TopicSource
from argosy.errors import UnavailableError
from argosy.graph.bound import BoundGraph
from argosy.graph.facts import Source
from argosy.ingest.job import JobState, WaitsFor, feed_of_partition
from argosy.log import Batch, Identity, LogReader
from argosy.rounds import Rounds
from argosy.workers.ingest.topics.mapper import Mapper
from argosy.workers.ingest.topics.topic_feed import TopicFeed
from argosy.workers.ingest.topics.topic_notes import TopicNotes
from argosy.workers.ingest.topics.topic_partition import TopicPartition

log = structlog.get_logger()

_LOOK_S: Final = 1.0  # between two notes, and between two looks at the topic
_BATCHES_MAX: Final = 2  # on their way to the graph: one is written while the next one comes
_ROOM_SIZE_BYTES_MIN: Final = 65_536  # of one partition


class TopicRun:
    """Reads the partitions that the group gives to this worker, each in a task of its own."""

    def __init__(
        self,
        source: TopicSource,
        graph: BoundGraph,
        mapper: Mapper,
        notes: TopicNotes,
        reader: LogReader,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._source = source
        self._graph = graph
        self._mapper = mapper
        self._notes = notes
        self._reader = reader
        self._clock = clock
        self._held_size_bytes_max = settings.ingest_topic_held_size_bytes_max
        self._room = asyncio.Semaphore(_BATCHES_MAX)
        self._reading_nos = itertools.count(1)
        self._rounds = Rounds(f"topic {source.topic}", clock)
        self._eligible: frozenset[int] = frozenset()
        self._partitions: dict[int, TopicPartition] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._looked_at_s = clock.monotonic_s()

    async def run(self) -> None:
        """Return when the job has ended, or the topic of this name is another one. Raises UnavailableError,
        GraphNotFoundError, OwnershipLostError; SettingError when the topic is gone.
        """
        job = self._notes.job
        try:
            identity = await self._reader.open(self._take, self._become_eligible)
            await self._open(range(identity.partition_count))
            log.info(telemetry.TOPIC_READ, topic=self._source.topic, graph=job.graph, job_id=str(job.job_id))
            while identity.log_id == job.log_id:
                await self._wait()
                await self._follow()
                if await self._say() is not JobState.RUNNING:
                    return
                identity = await self._look_again(identity)
        finally:
            tasks = list(self._tasks.values())
            for number in list(self._partitions):
                self._drop(number)
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._reader.close()

    # Called by the reader, on the loop

    def _take(self, batch: Batch) -> None:
        if (partition := self._partitions.get(batch.partition)) is not None:
            partition.take(batch)

    def _become_eligible(self, partitions: frozenset[int]) -> None:
        self._eligible = partitions
        self._notes.urgent.set()

    # The loop

    async def _open(self, numbers: range) -> None:
        """Take up all partitions, whoever reads them. Those of a topic of which nothing was read yet begin where the
        source says; one that came later begins with its first record.
        """
        known = await self._notes.find(numbers)
        spans = await self._reader.spans([number for number in numbers if number not in known])
        is_late = not known and self._source.begin == "latest"
        await self._notes.open(known | {number: span.end if is_late else span.begin for number, span in spans.items()})

    async def _wait(self) -> None:
        left_s = self._looked_at_s + _LOOK_S - self._clock.monotonic_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                await self._notes.urgent.wait()

    async def _follow(self) -> None:
        """Begin to read what the group gives, and leave what it takes. Begin anew what has failed, or what the topic
        does not hold any more.
        """
        for number in list(self._tasks.keys() - self._eligible):
            self._drop(number)
        for number, task in list(self._tasks.items()):
            if task.done():
                self._drop(number)
                self._judge(task)
        try:
            await self._look()
            came = sorted(self._eligible - self._tasks.keys())
            if not self._notes.positions.keys() >= set(came):
                await self._open(range(max(came) + 1))
        except UnavailableError as error:
            self._rounds.say(error, topic=self._source.topic)
            return
        for number in came:
            self._begin(number)
        self._share_room()

    def _judge(self, task: "asyncio.Task[None]") -> None:
        """Say that a partition begins anew, if its error allows that. Raises the error if not."""
        error = task.exception()
        if isinstance(error, UnavailableError):
            self._rounds.say(error, topic=self._source.topic)
        elif error is not None:
            raise error

    async def _look(self) -> None:
        """Drop partitions of which the topic does not hold what is next, once in a while."""
        if self._clock.monotonic_s() - self._looked_at_s < _LOOK_S:
            return
        self._looked_at_s = self._clock.monotonic_s()
        reading = [each for each in self._partitions.values() if each.is_reading]
        before = [each.next_read for each in reading]
        spans = await self._reader.spans([each.number for each in reading])
        for each, next_read in zip(reading, before, strict=True):
            if each.lacks(next_read, spans[each.number]):
                self._drop(each.number)

    async def _look_again(self, known: Identity) -> Identity:
        """Return the identity of the topic of this name, as far as the brokers say it. Raises SettingError."""
        try:
            return await self._reader.identity()
        except UnavailableError as error:
            self._rounds.say(error, topic=self._source.topic)
            return known

    async def _say(self) -> JobState:
        for number in self._mapper.slow:
            self._notes.waits(number, WaitsFor.OPERATOR)
        try:
            return await self._notes.say()
        except UnavailableError as error:
            self._rounds.say(error, topic=self._source.topic)
            return JobState.RUNNING

    def _begin(self, number: int) -> None:
        job = self._notes.job
        feed = TopicFeed(
            number,
            feed_of_partition(job.log_id, number),
            self._graph,
            self._notes,
            Source(step_key=f"ingest/{job.job_id}"),
            self._room,
            self._clock,
        )
        partition = TopicPartition(self._source.topic, feed, self._mapper, self._reader, self._notes, self._reading_nos)
        self._partitions[number] = partition
        self._tasks[number] = asyncio.create_task(partition.run(), name=f"topic {self._source.topic}/{number}")

    def _drop(self, number: int) -> None:
        """Read a partition no more. What is on its way into the graph may still arrive, once."""
        self._tasks.pop(number).cancel()
        self._partitions.pop(number).stop()

    def _share_room(self) -> None:
        each = self._held_size_bytes_max // max(1, len(self._partitions))
        for partition in self._partitions.values():
            partition.room_size_bytes = max(_ROOM_SIZE_BYTES_MIN, each)
