"""Reads a Kafka topic as a member of its group: the event loop's side of the poller."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from confluent_kafka import Consumer

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.log import Batch, Identity, Span
from argosy.logs.kafka_admin import KafkaAdmin
from argosy.logs.kafka_config import Messages, client_config
from argosy.logs.kafka_group import KafkaGroup
from argosy.logs.kafka_metadata import KafkaMetadata
from argosy.logs.kafka_poller import Poller, Round
from argosy.logs.kafka_retention import Retention
from argosy.logs.kafka_silence import STATISTICS_INTERVAL_S, Silence
from argosy.logs.topic import Topic
from argosy.logs.word import Word
from argosy.rounds import Rounds

log = structlog.get_logger()

_CLOSE_TIMEOUT_S: Final = 5.0  # to leave the group is one request; without brokers the end must not wait for it
_FETCH_SIZE_BYTES_MAX: Final = 1_048_576  # librdkafka's own default
_FETCHES_AHEAD: Final = 16
_LOOKS_OUT: Final = 2  # in a row: after a stop (SIGSTOP) the event loop may run before the threads that hear the group
# After a silence the word stays old for this long: a group that has taken this member out says so within its heartbeat
# interval, and what comes first after a stop of this process may have been sent before the stop.
_SETTLES_S: Final = 4 * STATISTICS_INTERVAL_S


def consumer_config(settings: Settings, topic: Topic) -> dict[str, Any]:
    """Return the consumer's configuration.

    Positions come from Postgres: the offsets that the group commits are only for lag tools and are never read.
    max.poll.interval.ms keeps its default: the poller polls whatever steps and the event loop do.
    """
    return client_config(settings) | {
        "group.id": topic.group,
        "group.protocol": "consumer",
        "enable.auto.commit": True,
        "enable.auto.offset.store": False,
        "auto.commit.interval.ms": 1_000,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",  # records of aborted transactions (another producer's) do not count
        "enable.partition.eof": True,  # tells the end of a partition whose last positions hold no record
        # Fetch little ahead, since a pause throws it away; so the fetcher must look again soon, not after 1 s.
        "queued.min.messages": 2 * topic.batch_max,
        "queued.max.messages.kbytes": topic.read_ahead_size_bytes_max // 1024,
        # What one fetch brings of a partition counts as it lies in the log: lines that are alike become up to 250 times
        # as much in memory at once. A larger batch of the log still comes, alone; from then on the client asks for more
        # of its partition.
        "max.partition.fetch.bytes": min(_FETCH_SIZE_BYTES_MAX, topic.read_ahead_size_bytes_max // _FETCHES_AHEAD),
        "fetch.queue.backoff.ms": 20,
        # A resumed partition waits for the fetch under way, and a broker holds an empty fetch this long.
        "fetch.wait.max.ms": 100,
    }


class KafkaReader:
    """LogReader (argosy/log.py) for a Kafka topic."""

    def __init__(self, settings: Settings, topic: Topic, clock: Clock) -> None:
        self._topic = topic
        self._metadata = KafkaMetadata(settings, topic, clock)
        self._admin = KafkaAdmin(settings, topic, clock)
        self._retention = Retention(topic, clock)
        self._clock = clock
        self._messages = Messages(clock, "consumer")
        self._word = Word(clock, settles_s=_SETTLES_S)
        self._silence = Silence(clock, self._word)
        self._config = consumer_config(settings, topic) | {"logger": self._messages} | self._silence.settings
        self._poller = Poller(topic.name, topic.batch_max, clock, self)
        self._assigned: frozenset[int] = frozenset()
        self._is_out = False
        self._watching: asyncio.Task[None] | None = None
        self._group: KafkaGroup | None = KafkaGroup(
            settings, topic.group
        )  # None once the group has told this member something
        self._rounds: deque[Round] = deque()
        self._readings: dict[int, int] = {}
        self._is_paused = False
        self._is_taking = False
        self._is_open = False
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_batch: Callable[[Batch], None] = lambda batch: None
        self._on_eligible: Callable[[frozenset[int]], None] = lambda partitions: None

    async def open(self, on_batch: Callable[[Batch], None], on_eligible: Callable[[frozenset[int]], None]) -> Identity:
        identity = await self._metadata.first_identity()
        if self._topic.is_ours:
            for warning in await self._admin.warnings():
                log.warning(telemetry.TOPIC_WARNING, warning=warning)
            self._retention.kept_s = await self._admin.kept_s()
        recovery = await self._admin.recovery()
        self._word.session_timeout_s = recovery.session_timeout_s
        (log.warning if recovery.how_to_lower else log.info)(telemetry.LOG_RECOVERY, bound=recovery.words)
        self._on_batch, self._on_eligible = on_batch, on_eligible
        self._loop = asyncio.get_running_loop()
        self._poller.start()
        self._watching = asyncio.create_task(self._watch_group())
        self._is_open = True
        return identity

    async def identity(self) -> Identity:
        return await self._metadata.identity()

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        return await self._metadata.spans(partitions)

    async def has_joined(self) -> bool:
        if self._group is not None and await self._group.gives_nothing_to(self._poller.member_id):
            self._group = None
        return self._group is None

    def start(self, partition: int, position: int, reading_no: int) -> None:
        self._readings[partition] = reading_no
        self._poller.read(partition, position, reading_no)

    def stop(self, partition: int) -> None:
        self._readings.pop(partition, None)
        self._poller.ignore(partition)

    def pause(self) -> None:
        self._is_paused = True
        self._poller.pause(True)

    def resume(self) -> None:
        self._is_paused = False
        self._poller.pause(False)
        if self._rounds and self._loop is not None:
            self._loop.call_soon(self._take)

    def wake(self) -> None:
        """Do nothing: the broker answers a waiting fetch as soon as a record comes."""

    def accepted(self, partition: int, position: int) -> None:
        self._poller.accepted(partition, position)

    def session_timeout_s(self) -> float | None:
        return self._word.session_timeout_s

    def is_word_old(self) -> bool:
        return self._word.is_old

    async def leave(self) -> None:
        self._poller.leave()

    async def join(self) -> None:
        self._poller.join_again()

    async def close(self) -> None:
        self._is_closed = True
        self._poller.stop()
        if self._watching is not None:
            self._watching.cancel()
        if self._is_open:
            await asyncio.to_thread(self._poller.join, _CLOSE_TIMEOUT_S)

    async def _watch_group(self) -> None:
        """Give partitions up when the group may have taken this member out; take them back when it has not.

        Runs until cancelled, every 0.25 s.
        """
        looks, was_old = 0, False
        rounds = Rounds("kafka group", self._clock)
        while True:
            await self._clock.sleep(STATISTICS_INTERVAL_S)
            looks = looks + 1 if self._word.is_out else 0
            is_old = self._word.is_old
            is_confirmed, was_old = was_old and not is_old, is_old
            async with rounds:
                if looks >= _LOOKS_OUT and not self._is_out:
                    self._is_out = True
                    self._tell("partitions are given up", frozenset())
                elif is_confirmed:
                    self._is_out = False
                    self._tell("this worker is still a member", self._assigned)

    def _tell(self, what: str, eligible: frozenset[int]) -> None:
        if self._assigned:
            self._messages.say("group silent", what)
            self._on_eligible(eligible)

    # Called on the poller's thread

    def make_consumer(self) -> Consumer:
        """See LoopSide. What the group told the last consumer says nothing about the new one."""
        self._word.forget()
        return Consumer(self._config)

    def hand_over(self, found: Round) -> None:
        """See LoopSide. Pass a round on to the event loop."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._arrived, found)
        except RuntimeError:  # the loop is closed
            self._poller.stop()

    # The event loop

    def _arrived(self, found: Round) -> None:
        if self._is_closed:
            return
        for self._assigned in found.eligible:  # so the group was heard from
            self._is_out = False
            self._group = None
            self._on_eligible(self._assigned)
        if found.batches:
            self._rounds.append(found)
            self._take()
        else:
            self._poller.taken()

    def _take(self) -> None:
        """Deliver the waiting rounds until paused. Batches of a reading that is over are dropped."""
        if self._is_taking:
            return
        self._is_taking = True
        try:
            while self._rounds and not self._is_paused and not self._is_closed:
                batches = self._rounds[0].batches
                while batches and not self._is_paused:
                    batch = batches.pop(0)
                    if self._readings.get(batch.partition) == batch.reading_no:
                        self._retention.look(batch)
                        self._on_batch(batch)
                if not batches:
                    self._rounds.popleft()
                    self._poller.taken()
        finally:
            self._is_taking = False
