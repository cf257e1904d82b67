"""Appends to Kafka: an idempotent producer with acks=all, and one thread that polls it.

The first appends go out at once. While several are in flight, further ones are collected for KAFKA_LINGER_MS: the
broker takes many records in one request for a third less CPU. (librdkafka's own linger would delay every append.)

What becomes of an append, and why it is certain:
- produce() refuses the record, or every broker is down: librdkafka never had it                 → NOT_APPENDED
- the broker rejects it sooner than a first retry could have been sent: this was its only try    → NOT_APPENDED
- delivered                                                                                      → APPENDED
- anything else (timed out, rejected later, purged, fatal): an earlier try may have been written → UNKNOWN

librdkafka knows more about a failed message (its status) than its Python binding shows, hence the rule of the second
line.
"""

import asyncio
import os
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.log import Appended, Entry, Identity, Outcome
from argosy.logs.kafka_config import Messages, client_config, reason_of, unavailable
from argosy.logs.kafka_metadata import KafkaMetadata, known_answer
from argosy.logs.topic import Topic

log = structlog.get_logger()

_RETRY_BACKOFF_MS: Final = 100  # librdkafka's default; said here, as the next line depends on it
_FIRST_TRY_S: Final = 0.05  # well before _RETRY_BACKOFF_MS: a record that failed sooner was sent once
_POLL_S: Final = 0.1  # the longest that the end waits for this thread; results wake it at once
_BUSY_APPENDS: Final = 4  # with so many in flight, further appends are collected
_PROBE_S: Final = 0.5  # how long one look for a living broker may take while all are down
_METADATA_TIMEOUT_S: Final = 5.0  # as for other first requests (kafka_metadata.py)

# Errors with which the broker, or librdkafka before it sent anything, says that this record will not be written.
_REJECTED: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.POLICY_VIOLATION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


class _Request:
    """The records of one call of `append`.

    Only the poll thread increases _delivered, and only the event loop sets _expected; each then compares the two, so at
    least one of them sees that they are equal.
    """

    __slots__ = ("_delivered", "_expected", "_future", "_loop", "results", "since_s")

    def __init__(self, count: int, since_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self.results: list[Appended | None] = [None] * count
        self.since_s = since_s
        self._loop = loop
        self._future: asyncio.Future[None] = loop.create_future()
        self._delivered = 0
        self._expected = -1

    def deliver(self, index: int, result: Appended) -> None:
        """Take the result of one record. Called on the poll thread."""
        self.results[index] = result
        self._delivered += 1
        if self._delivered == self._expected:
            try:
                self._loop.call_soon_threadsafe(self._finish)
            except RuntimeError:  # the loop is closed: no task waits
                return

    async def wait(self, expected: int, timeout_s: float) -> None:
        """Return when `expected` results were delivered. Raises TimeoutError."""
        self._expected = expected
        if self._delivered == expected:
            return
        async with asyncio.timeout(timeout_s):
            await self._future

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class KafkaWriter:
    """LogWriter (argosy/log.py) for a Kafka topic. Made by `open`; belongs to one process and one event loop."""

    def __init__(self, settings: Settings, topic: Topic, clock: Clock) -> None:
        self._topic = topic.name
        self._timeout_s = settings.log_append_timeout_s
        self._clock = clock
        self._pid = os.getpid()
        self._messages = Messages(clock, "producer")
        self._config = client_config(settings) | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "compression.type": "lz4",
            # A little less than LOG_APPEND_TIMEOUT_S, so that librdkafka's error comes before our own time-out.
            "delivery.timeout.ms": max(1_000, int(self._timeout_s * 900)),
            "request.timeout.ms": max(1_000, int(self._timeout_s * 450)),
            "retry.backoff.ms": _RETRY_BACKOFF_MS,
            "queue.buffering.max.messages": settings.log_queue_max,
            "queue.buffering.max.kbytes": settings.log_queue_size_bytes_max // 1024,
            "message.max.bytes": topic.message_size_bytes_max,
            "logger": self._messages,
            "error_cb": self._on_error,
        }
        self._producer: Any = Producer(self._config)
        self._metadata = KafkaMetadata(settings, topic, clock)
        self._identity = Identity("", "", 0)
        self._in_flight: dict[_Request, None] = {}
        self._linger_s = settings.kafka_linger_ms / 1000
        self._collected: asyncio.Future[None] | None = None
        self._is_down = False
        self._is_fatal = False
        self._is_closing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-writer", daemon=True)

    @classmethod
    async def open(cls, settings: Settings, topic: Topic, clock: Clock) -> "KafkaWriter":
        """Open a writer. Raises LogUnavailableError, or SettingError when the topic does not exist."""
        try:
            writer = cls(settings, topic, clock)
        except KafkaException as error:
            raise SettingError(f"the Kafka client refuses its settings: {reason_of(error)}") from error
        writer._identity = await writer._metadata.first_identity()
        # The producer learns of the topic here, so that the first append does not wait for that.
        try:
            await known_answer(writer._read_metadata, clock, settings.kafka_topic_visible_s)
        except KafkaException as error:
            raise unavailable(error) from error
        writer._thread.start()
        return writer

    @property
    def partition_count(self) -> int:
        return self._identity.partition_count

    @property
    def identity(self) -> Identity:
        return self._identity

    async def look(self) -> Identity:
        return await self._metadata.identity()

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        if os.getpid() != self._pid:
            raise RuntimeError("this log writer was opened before a fork: open one in each process")
        began_s = self._clock.monotonic_s()
        if len(self._in_flight) >= _BUSY_APPENDS and self._linger_s:
            await self._collect()
        if self._is_down or self._is_closing:
            reason = "the log is closed" if self._is_closing else "no Kafka broker can be reached"
            return [Appended(Outcome.NOT_APPENDED, reason=reason)] * len(entries)
        now_s = self._clock.monotonic_s()
        request = _Request(len(entries), now_s, asyncio.get_running_loop())
        self._in_flight[request] = None
        try:
            await request.wait(self._produce(request, entries), self._timeout_s - (now_s - began_s))
        except TimeoutError:
            pass
        finally:
            del self._in_flight[request]
        late = Appended(Outcome.UNKNOWN, reason=f"no answer within {self._timeout_s:g} s")
        return [result or late for result in request.results]

    async def backlog_age_s(self) -> float:
        oldest = next(iter(self._in_flight), None)
        return 0.0 if oldest is None else self._clock.monotonic_s() - oldest.since_s

    async def close(self) -> None:
        self._is_closing = True
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, self._timeout_s + 1.0)

    async def _collect(self) -> None:
        """Wait for the end of the open window of KAFKA_LINGER_MS, which all appends that come in it share."""
        if self._collected is None or self._collected.done():
            loop = asyncio.get_running_loop()
            self._collected = loop.create_future()
            loop.call_later(self._linger_s, self._collected.set_result, None)
        await asyncio.shield(self._collected)

    def _produce(self, request: _Request, entries: Sequence[Entry]) -> int:
        """Hand the entries to librdkafka, in order, and return how many it took.

        After an entry that finds the queue full, the rest are refused, too.
        """
        produce = self._producer.produce
        handed = 0
        refusal: Appended | None = None
        for index, entry in enumerate(entries):
            if refusal is None:
                try:
                    produce(
                        self._topic,
                        entry.value,
                        entry.key,
                        entry.partition,
                        partial(self._delivered, request, index),
                        headers=list(entry.headers) if entry.headers else None,
                    )
                    handed += 1
                    continue
                except BufferError:
                    refusal = Appended(Outcome.NOT_APPENDED, reason="too many appends are in flight")
                except (KafkaException, ValueError, OverflowError) as error:
                    request.results[index] = Appended(Outcome.NOT_APPENDED, reason=reason_of(error))
                    continue
            request.results[index] = refusal
        return handed

    def _delivered(self, request: _Request, index: int, error: KafkaError | None, message: Message) -> None:
        """Take librdkafka's result of one record. Called on the poll thread."""
        if error is None:
            result = Appended(Outcome.APPENDED, message.offset() or 0)
        elif error.code() in _REJECTED and self._clock.monotonic_s() - request.since_s < _FIRST_TRY_S:
            result = Appended(Outcome.NOT_APPENDED, reason=f"{error.name()}: {error.str()}")
        else:
            result = Appended(Outcome.UNKNOWN, reason=f"{error.name()}: {error.str()}")
        request.deliver(index, result)

    def _on_error(self, error: KafkaError) -> None:
        """Take news of the brokers and of the producer itself. Called on the poll thread."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            if not self._is_down:
                log.warning(telemetry.LOG_UNAVAILABLE, reason="all Kafka brokers are down")
            self._is_down = True
        elif error.fatal() or error.code() == KafkaError._FATAL:
            self._is_fatal = True
            self._messages.say("fatal", error.str())

    async def _read_metadata(self) -> None:
        """Make the producer read the topic's metadata. Raises KafkaException."""
        found = await asyncio.to_thread(self._producer.list_topics, self._topic, _METADATA_TIMEOUT_S)
        if (error := found.topics[self._topic].error) is not None:
            raise KafkaException(error)

    def _run(self) -> None:
        """Poll the producer, which delivers results, until stopped.

        While all brokers are down, look for one that answers.
        """
        while not self._stopping.is_set():
            try:
                self._producer.poll(_POLL_S)
                if self._is_down:
                    self._probe()
                if self._is_fatal:
                    self._replace()
            except Exception as error:
                self._messages.say("poll thread", reason_of(error))
                self._stopping.wait(_POLL_S)
        self._producer.flush(self._timeout_s)

    def _probe(self) -> None:
        """End the outage when a broker answers.

        librdkafka does not report that a broker is back, and connects to none without a request.
        """
        try:
            self._producer.list_topics(self._topic, _PROBE_S)
        except KafkaException:
            return
        self._is_down = False

    def _replace(self) -> None:
        """Replace a producer that had a fatal error: it fails every record that it holds and takes no more."""
        broken, self._producer = self._producer, Producer(self._config)
        self._is_fatal = False
        broken.purge()
        broken.flush(1.0)
