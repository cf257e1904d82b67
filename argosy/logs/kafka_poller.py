"""The one thread that owns the Kafka consumer.

Everything asked of it goes through a mailbox that it empties between polls (a second thread's call would wait for the
poll to end). What it finds goes to the event loop in rounds, one wake-up each.

Rules:
- What was polled is tagged with its claim before any command is carried out, so a record belongs to the claim under
  which it was polled. What was polled under no claim is dropped: the claim that comes will seek.
- A wish (partition, position, claim) outlives a revocation that the loop never noticed: when the partition comes back
  it goes on where it was. The loop ends a wish by `stop`; whether it may still write is for Postgres to say.
- Rebalance callbacks never wait: partitions are assigned paused, at an explicit offset.
"""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from argosy.clock import Clock
from argosy.log import Batch, Record
from argosy.logs.kafka_config import Messages, code_of, reason_of

POLL_S: Final = 0.02  # how long a command waits at the most; costs 0.5 % of a core
ROUNDS_MAX: Final = 4  # handed to the loop and not taken by it yet
_FULL_POLLS: Final = 25  # half a second in which the loop took nothing: pause the fetching, go on polling
_SEEK_RETRIES_FAST: Final = 50  # a fresh assignment refuses to be sought for a moment
_SEEK_RETRY_SLOW_POLLS: Final = 50
_STORE_POLLS: Final = 50


class Round(NamedTuple):
    """What one poll found. eligible: the whole set after each change, in order."""

    batches: list[Batch]
    eligible: list[frozenset[int]]


class _Wish:
    """What the loop wants of a partition: records from `position` on under `claim`."""

    __slots__ = ("claim", "is_reading", "position", "seeks")

    def __init__(self, position: int, claim: int) -> None:
        self.position = position
        self.claim = claim
        self.is_reading = False
        self.seeks = 0


class Poller:
    """Runs in a thread of its own from `start` to `stop`. on_round is called from that thread."""

    def __init__(
        self,
        make_consumer: Callable[[], Any],
        topic: str,
        batch_max: int,
        clock: Clock,
        on_round: Callable[[Round], None],
    ) -> None:
        self._make_consumer = make_consumer
        self._topic = topic
        self._batch_max = batch_max
        self._on_round = on_round
        self._messages = Messages(clock, "consumer")
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-reader", daemon=True)
        self._consumer: Any = None
        self._assigned: set[int] = set()
        self._wishes: dict[int, _Wish] = {}
        self._changes: list[frozenset[int]] = []
        self._accepted: dict[int, int] = {}
        self._is_paused = False
        self._is_full = False
        self._rounds_sent = 0
        self._rounds_taken = 0  # the loop alone writes it
        self._polls = 0
        self._polls_without_room = 0

    # Called from the event loop

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Leave the group and end. `join` waits for it."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def read(self, partition: int, position: int, claim: int) -> None:
        self._commands.put(lambda: self._wish(partition, _Wish(position, claim)))

    def ignore(self, partition: int) -> None:
        self._commands.put(lambda: self._wish(partition, None))

    def pause(self, is_paused: bool) -> None:
        self._commands.put(lambda: self._pause(is_paused))

    def accepted(self, partition: int, position: int) -> None:
        self._accepted[partition] = position

    def taken(self) -> None:
        """The loop is done with a round."""
        self._rounds_taken += 1

    # The thread

    def _run(self) -> None:
        """A consumer that fails for good is replaced; the thread ends only when it is told to."""
        while not self._stopping.is_set():
            try:
                self._consumer = self._make_consumer()
                self._consumer.subscribe(
                    [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
                )
                while not self._stopping.is_set():
                    self.run_once()
            except Exception as error:
                self._messages.say("consumer failed", reason_of(error))
                self._stopping.wait(1.0)
            finally:
                self._close()

    def run_once(self) -> None:
        """One poll: commands first, then what there is to read, tagged at once, then to the loop."""
        self._carry_out_commands()
        self._seek_where_needed()
        self._polls += 1
        if self._polls % _STORE_POLLS == 0:
            self._store_accepted()
        batches = [] if self._has_no_room() else self._tag(self._poll())
        changes, self._changes = self._changes, []
        if batches or changes:
            self._rounds_sent += 1
            self._on_round(Round(batches, changes))

    def _poll(self) -> list[Any]:
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        return [first, *self._consumer.consume(self._batch_max - 1, 0)] if self._batch_max > 1 else [first]

    def _tag(self, messages: Sequence[Any]) -> list[Batch]:
        batches: dict[int, Batch] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._on_message_error(message, error)
                continue
            partition, position = message.partition(), message.offset()
            wish = self._wishes.get(partition)
            if wish is None or not wish.is_reading or position < wish.position:
                continue
            wish.position = position + 1
            batch = batches.get(partition)
            if batch is None:
                batch = batches[partition] = Batch(partition, wish.claim, [])
            batch.records.append(
                Record(
                    position,
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    tuple(message.headers() or ()),
                )
            )
        return list(batches.values())

    def _has_no_room(self) -> bool:
        """The loop does not keep up: nothing is consumed, but the group must not take us for hung. A poll that finds
        everything paused only serves the group.
        """
        if self._rounds_sent - self._rounds_taken < ROUNDS_MAX:
            self._polls_without_room = 0
            self._fill(False)
            return False
        self._polls_without_room += 1
        if self._polls_without_room >= _FULL_POLLS:
            self._fill(True)
            return False
        self._stopping.wait(POLL_S)
        return True

    def _carry_out_commands(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            command()

    def _wish(self, partition: int, wish: _Wish | None) -> None:
        before = self._wishes.pop(partition, None)
        if wish is not None:
            self._wishes[partition] = wish
        elif before is not None and before.is_reading:
            self._consumer.pause([TopicPartition(self._topic, partition)])

    def _seek_where_needed(self) -> None:
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
            except KafkaException as error:
                if wish.seeks >= _SEEK_RETRIES_FAST:
                    self._messages.say(f"seek of partition {partition}", reason_of(error))

    @property
    def _is_quiet(self) -> bool:
        return self._is_paused or self._is_full

    def _pause(self, is_paused: bool) -> None:
        was_quiet, self._is_paused = self._is_quiet, is_paused
        self._apply_quiet(was_quiet)

    def _fill(self, is_full: bool) -> None:
        was_quiet, self._is_full = self._is_quiet, is_full
        self._apply_quiet(was_quiet)

    def _apply_quiet(self, was_quiet: bool) -> None:
        if was_quiet == self._is_quiet:
            return
        reading = [
            TopicPartition(self._topic, partition)
            for partition, wish in self._wishes.items()
            if wish.is_reading and partition in self._assigned
        ]
        if reading:
            (self._consumer.pause if self._is_quiet else self._consumer.resume)(reading)

    def _store_accepted(self) -> None:
        """For lag tools. A partition that is not ours any more is somebody else's to report."""
        while self._accepted:
            partition, position = self._accepted.popitem()
            try:
                self._consumer.store_offsets(offsets=[TopicPartition(self._topic, partition, position)])
            except KafkaException as error:
                if code_of(error) != KafkaError._STATE:
                    self._messages.say("store offsets", reason_of(error))

    # From inside poll and consume, on the thread

    def _on_assign(self, consumer: Any, partitions: Sequence[Any]) -> None:
        if not partitions:
            return
        numbers = [each.partition for each in partitions]
        consumer.incremental_assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in numbers])
        consumer.pause([TopicPartition(self._topic, number) for number in numbers])
        self._assigned.update(numbers)
        self._forget_reading(numbers)
        self._changes.append(frozenset(self._assigned))

    def _on_revoke(self, consumer: Any, partitions: Sequence[Any]) -> None:
        if not partitions:
            return
        numbers = [each.partition for each in partitions]
        self._assigned.difference_update(numbers)
        self._forget_reading(numbers)
        self._changes.append(frozenset(self._assigned))
        consumer.incremental_unassign([TopicPartition(self._topic, number) for number in numbers])

    def _on_lost(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._messages.say("partitions lost", f"{len(partitions)} partitions: the group gave them to others")
        self._on_revoke(consumer, partitions)

    def _forget_reading(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            if wish := self._wishes.get(partition):
                wish.is_reading = False
                wish.seeks = 0

    def _on_message_error(self, message: Any, error: KafkaError) -> None:
        """Out of range among them: nothing is read then, and the owner's loop sees from the spans what to do."""
        self._messages.say(error.name(), f"partition {message.partition()}: {error.str()}")
        if error.fatal() or error.code() == KafkaError._FATAL:
            raise KafkaException(error)

    def _close(self) -> None:
        """Leaves the group at once; nobody is eligible through this consumer any more."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close()
            except Exception as error:
                self._messages.say("close", reason_of(error))
        self._forget_reading(list(self._wishes))
        if self._assigned and not self._stopping.is_set():
            self._assigned.clear()
            self._rounds_sent += 1
            self._on_round(Round([], [frozenset()]))
