"""The one thread that owns the Kafka consumer.

The event loop puts its commands into a mailbox, which this thread empties between two polls (a call from another thread
would wait for the poll to end). The thread hands what it finds to the event loop in rounds: one wake-up of the loop
each, and at most ROUNDS_MAX that the loop has not taken yet.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from argosy.clock import Clock
from argosy.log import Batch
from argosy.logs.kafka_assignment import Assignment
from argosy.logs.kafka_config import Messages, code_of, reason_of

POLL_S: Final = 0.02  # the longest that a command waits; costs 0.5 % of a core
ROUNDS_MAX: Final = 4  # rounds that were handed to the loop and that it has not taken yet
_FULL_POLLS: Final = 25  # half a second in which the loop took nothing: then stop fetching, but go on polling
_STORE_POLLS: Final = 50  # once a second: only tools that show lag read what is stored
_RESTART_S: Final = 1.0  # a consumer that fails at once is not made anew all the time


class Round(NamedTuple):
    """What one poll found. eligible: the whole set of assigned partitions after each change, in order."""

    batches: list[Batch]
    eligible: list[frozenset[int]]


class LoopSide(Protocol):
    """The event loop's side of a poller, which calls it in its thread."""

    def make_consumer(self) -> Any:
        """Return a new consumer."""

    def hand_over(self, found: Round) -> None:
        """Take a round."""


class Poller:
    """Polls the consumer in a thread of its own, from `start` to `stop`. loop_side: gets what the polls find."""

    def __init__(self, topic: str, batch_max: int, clock: Clock, loop_side: LoopSide) -> None:
        self._topic = topic
        self._batch_max = batch_max
        self._loop_side = loop_side
        self._messages = Messages(clock, "consumer")
        self._assignment = Assignment(topic, self._messages)
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping = threading.Event()
        self._is_away = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-reader", daemon=True)
        self._consumer: Any = None
        self.member_id = ""
        self._accepted: dict[int, int] = {}
        self._rounds_sent = 0
        self._rounds_taken = 0  # only the event loop writes it
        self._polls = 0
        self._polls_without_room = 0

    # Called from the event loop

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to leave the group and end. `join` waits for that."""
        self._stopping.set()

    def leave(self) -> None:
        """Leave the group until `join_again` is called."""
        self._is_away.set()

    def join_again(self) -> None:
        self._is_away.clear()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def read(self, partition: int, position: int, reading_no: int) -> None:
        self._commands.put(lambda: self._assignment.read(partition, position, reading_no))

    def ignore(self, partition: int) -> None:
        self._commands.put(lambda: self._assignment.ignore(partition))

    def pause(self, is_paused: bool) -> None:
        self._commands.put(lambda: self._assignment.pause(is_paused))

    def accepted(self, partition: int, position: int) -> None:
        self._accepted[partition] = position

    def taken(self) -> None:
        """Count a round that the event loop is done with."""
        self._rounds_taken += 1

    # The thread

    def _run(self) -> None:
        """Poll until told to stop. A consumer that raises is closed and replaced after 1 s."""
        while not self._stopping.is_set():
            if self._is_away.is_set():
                self._carry_out_commands()
                self._stopping.wait(POLL_S)
                continue
            try:
                self.begin()
                while not (self._stopping.is_set() or self._is_away.is_set()):
                    self.run_once()
            except Exception as error:
                self._messages.say("consumer failed", reason_of(error))
                self._stopping.wait(_RESTART_S)
            finally:
                self._close()

    def begin(self) -> None:
        """Make a consumer and join the group."""
        self._consumer = self._loop_side.make_consumer()
        self._assignment.begin(self._consumer)
        self.member_id = self._consumer.memberid() or ""

    def run_once(self) -> None:
        """Carry out commands, then poll once, tag the records with their readings, and hand them to the event loop."""
        self._carry_out_commands()
        self._assignment.seek_where_needed()
        self._polls += 1
        if self._polls % _STORE_POLLS == 0:
            self._store_accepted()
        batches = self._assignment.tag(self._poll()) if self._has_room() else []
        self._hand_over(batches)

    def _poll(self) -> list[Any]:
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        return [first, *self._consumer.consume(self._batch_max - 1, 0)] if self._batch_max > 1 else [first]

    def _hand_over(self, batches: list[Batch]) -> None:
        changes, self._assignment.changes = self._assignment.changes, []
        if batches or changes:
            self._rounds_sent += 1
            self._loop_side.hand_over(Round(batches, changes))

    def _has_room(self) -> bool:
        """Whether to poll now.

        While the event loop does not keep up, nothing is consumed. But the group must not take this member for hung:
        after _FULL_POLLS everything is paused, and polls only serve the group.
        """
        if self._rounds_sent - self._rounds_taken < ROUNDS_MAX:
            self._polls_without_room = 0
            self._assignment.fill(False)
            return True
        self._polls_without_room += 1
        if self._polls_without_room >= _FULL_POLLS:
            self._assignment.fill(True)
            return True
        self._stopping.wait(POLL_S)
        return False

    def _carry_out_commands(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            command()

    def _store_accepted(self) -> None:
        """Store the accepted positions as the group's offsets, for lag tools.

        A partition that this consumer has lost is skipped (_STATE): its new owner reports its position.
        """
        while self._accepted:
            partition, position = self._accepted.popitem()
            try:
                self._consumer.store_offsets(offsets=[TopicPartition(self._topic, partition, position)])
            except KafkaException as error:
                if code_of(error) != KafkaError._STATE:
                    self._messages.say("store offsets", reason_of(error))

    def _close(self) -> None:
        """Close the consumer, which leaves the group at once."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        try:
            consumer.close()
        except Exception as error:
            self._messages.say("close", reason_of(error))
        self._assignment.end()
        if not self._stopping.is_set():
            self._hand_over([])
