"""The partitions that the group assigned to this consumer, and what the event loop wants read of them.

Everything here runs on the poller's thread. Rules:
- `tag` tags polled records with their reading before anything else happens, so a record belongs to the reading under
  which it was polled. Records polled under no reading are dropped: the next reading will seek.
- A wish (partition, position, reading_no) outlives a revocation that the event loop never noticed: when the partition
  comes back, reading goes on where it was. Only the event loop ends a wish; Postgres decides whether the claim may
  still write.
- Rebalance callbacks never wait: they assign partitions paused, at an explicit offset.
- Batch.begin and Batch.end report positions without a record, at the end of a partition too: markers of transactions,
  aborted and compacted records. What librdkafka delivers right after a seek, a resume or an error may lack records that
  exist; Batch.is_fresh says so.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, TopicPartition

from argosy.log import Batch, Record
from argosy.logs.kafka_config import Messages, reason_of

_SEEK_RETRIES_FAST: Final = 50  # librdkafka refuses to seek in a new assignment for a moment
_SEEK_RETRY_SLOW_POLLS: Final = 50  # then once a second (POLL_S)
_NUDGE_TIMEOUT_S: Final = 0.2  # the answer is not needed: that it was asked is enough


class _Wish:
    """What the event loop wants of a partition: records from `position` on, as this reading. is_fresh: see Batch."""

    __slots__ = ("is_fresh", "is_reading", "position", "reading_no", "seeks")

    def __init__(self, position: int, reading_no: int) -> None:
        self.position = position
        self.reading_no = reading_no
        self.is_fresh = True
        self.is_reading = False
        self.seeks = 0

    def begin_batch(self, partition: int) -> Batch:
        is_fresh, self.is_fresh = self.is_fresh, False
        return Batch(partition, self.reading_no, [], self.position, self.position, is_fresh)


class Assignment:
    """The assigned partitions of one topic. changes: the whole set after each change, for the poller to pass on."""

    def __init__(self, topic: str, messages: Messages) -> None:
        self._topic = topic
        self._messages = messages
        self._consumer: Any = None
        self._assigned: set[int] = set()
        self._wishes: dict[int, _Wish] = {}
        self._is_paused = False
        self._is_full = False
        self._polls = 0
        self.changes: list[frozenset[int]] = []

    def begin(self, consumer: Any) -> None:
        """Subscribe with a new consumer, which joins the group."""
        self._consumer = consumer
        consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def end(self) -> None:
        """Forget the consumer, which is gone: through it this process is eligible for nothing any more."""
        self._forget_reading(list(self._wishes))
        if self._assigned:
            self._assigned.clear()
            self.changes.append(frozenset())

    def read(self, partition: int, position: int, reading_no: int) -> None:
        """Replace an earlier wish for this partition. `seek_where_needed` carries the new one out."""
        self._wishes[partition] = _Wish(position, reading_no)

    def ignore(self, partition: int) -> None:
        wish = self._wishes.pop(partition, None)
        if wish is not None and wish.is_reading:
            self._consumer.pause([TopicPartition(self._topic, partition)])

    def pause(self, is_paused: bool) -> None:
        """Stop or resume fetching because the event loop asked for it (back-pressure)."""
        was_quiet, self._is_paused = self._is_quiet, is_paused
        self._apply_quiet(was_quiet)

    def fill(self, is_full: bool) -> None:
        """Stop or resume fetching because the event loop does not take the rounds that it was handed."""
        was_quiet, self._is_full = self._is_quiet, is_full
        self._apply_quiet(was_quiet)

    def seek_where_needed(self) -> None:
        """Seek in every partition that is wanted but not being read yet. Called once per poll.

        A seek that fails is tried again at each of the next 50 polls, then at every 50th; it holds up no other
        partition.
        """
        self._polls += 1
        sought: list[TopicPartition] = []
        for partition, wish in self._wishes.items():
            if wish.is_reading or partition not in self._assigned:
                continue
            if wish.seeks > _SEEK_RETRIES_FAST and self._polls % _SEEK_RETRY_SLOW_POLLS:
                continue
            wish.seeks += 1
            try:
                self._consumer.seek(TopicPartition(self._topic, partition, wish.position))
                if not self._is_quiet:
                    self._consumer.resume([TopicPartition(self._topic, partition)])
                wish.is_reading = True
                sought.append(TopicPartition(self._topic, partition, OFFSET_END))
            except KafkaException as error:
                if wish.seeks >= _SEEK_RETRIES_FAST:
                    self._messages.say(f"seek of partition {partition}", reason_of(error))
        if sought and not self._is_quiet:
            self._nudge(sought)

    def tag(self, messages: Sequence[Any]) -> list[Batch]:
        """Return what poll and consume have just returned as batches, each under the reading that holds now."""
        ended: list[Batch] = []
        batches: dict[int, Batch] = {}
        for message in messages:
            partition, position, error = message.partition(), message.offset(), message.error()
            wish = self._wishes.get(partition)
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                self._on_message_error(message, error)
                if wish is not None:
                    wish.is_fresh = True
                if (batch := batches.pop(partition, None)) is not None and wish is not None:
                    ended.append(batch._replace(end=wish.position))
                continue
            if wish is None or not wish.is_reading or position < wish.position:
                continue
            if error is not None and position == wish.position:
                continue  # the end of the partition, with no positions left out before it
            batch = batches.get(partition)
            if batch is None:
                batch = batches[partition] = wish.begin_batch(partition)
            if error is not None:
                wish.position = position
                continue
            wish.position = position + 1
            headers = tuple(message.headers() or ())
            batch.records.append(Record(position, message.timestamp()[1], message.key(), message.value(), headers))
        return ended + [batch._replace(end=self._wishes[partition].position) for partition, batch in batches.items()]

    @property
    def _is_quiet(self) -> bool:
        return self._is_paused or self._is_full

    def _apply_quiet(self, was_quiet: bool) -> None:
        if was_quiet == self._is_quiet:
            return
        reading = []
        for partition, wish in self._wishes.items():
            if wish.is_reading and partition in self._assigned:
                wish.is_fresh = True
                reading.append(TopicPartition(self._topic, partition, OFFSET_END))
        if reading and self._is_quiet:
            self._consumer.pause(reading)
        elif reading:
            self._consumer.resume(reading)
            self._nudge(reading)

    def _nudge(self, partitions: list[TopicPartition]) -> None:
        """Ask the leaders of these partitions for their end, so that librdkafka fetches at once.

        Of a broker that had nothing to fetch, librdkafka looks only once a second whether it has something now; any
        request makes it look at once (measured: 3 ms instead of 1,000).
        """
        with suppress(KafkaException):
            self._consumer.offsets_for_times(partitions, timeout=_NUDGE_TIMEOUT_S)

    # librdkafka calls these from inside poll and consume

    def _on_assign(self, consumer: Any, partitions: Sequence[Any]) -> None:
        if not partitions:
            return
        numbers = [each.partition for each in partitions]
        consumer.incremental_assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in numbers])
        consumer.pause([TopicPartition(self._topic, number) for number in numbers])
        self._assigned.update(numbers)
        self._forget_reading(numbers)
        self.changes.append(frozenset(self._assigned))

    def _on_revoke(self, consumer: Any, partitions: Sequence[Any]) -> None:
        if not partitions:
            return
        numbers = [each.partition for each in partitions]
        self._assigned.difference_update(numbers)
        self._forget_reading(numbers)
        self.changes.append(frozenset(self._assigned))
        consumer.incremental_unassign([TopicPartition(self._topic, number) for number in numbers])

    def _on_lost(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._messages.say("partitions lost", f"{len(partitions)} partitions: the group gave them to others")
        self._on_revoke(consumer, partitions)

    def _forget_reading(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            if wish := self._wishes.get(partition):
                wish.is_reading = False
                wish.is_fresh = True
                wish.seeks = 0

    def _on_message_error(self, message: Any, error: KafkaError) -> None:
        """Log an error of a partition. Raises KafkaException when it is fatal.

        "Offset out of range" is one of these errors: nothing is read then, and the loop of the partition's owner sees
        from the spans what to do.
        """
        self._messages.say(error.name(), f"partition {message.partition()}: {error.str()}")
        if error.fatal() or error.code() == KafkaError._FATAL:
            raise KafkaException(error)
