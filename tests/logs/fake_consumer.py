"""A Kafka consumer as a script plays it: what the next polls return, and what happens inside them."""

from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition


class FakeMessage:
    def __init__(self, partition: int, offset: int, error: KafkaError | None = None) -> None:
        self._partition = partition
        self._offset = offset
        self._error = error

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"%d" % self._offset

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_700_000_000_000)


class FakeConsumer:
    """script: what each poll does; it returns messages. calls: what was asked of it, in order."""

    def __init__(self) -> None:
        self.script: deque[Callable[[], list[FakeMessage]]] = deque()
        self.calls: list[tuple[Any, ...]] = []
        self.seeks_to_refuse = 0
        self.paused: set[int] = set()
        self._rest: list[FakeMessage] = []
        self._callbacks: dict[str, Callable[[Any, list[TopicPartition]], None]] = {}

    def plays(self, *messages: FakeMessage) -> None:
        self.script.append(lambda: list(messages))

    def subscribe(self, topics: list[str], **callbacks: Callable[[Any, list[TopicPartition]], None]) -> None:
        self._callbacks = callbacks

    def rebalance(self, callback: str, *partitions: int) -> list[FakeMessage]:
        """Call back as a poll does in which a rebalance comes, and return what such a poll returns."""
        self._callbacks[callback](self, [TopicPartition("topic", partition) for partition in partitions])
        return []

    def poll(self, timeout: float) -> FakeMessage | None:
        self.calls.append(("poll",))
        found = self.script.popleft()() if self.script else []
        self._rest = found[1:]
        return found[0] if found else None

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        rest, self._rest = self._rest, []
        return rest

    def seek(self, partition: TopicPartition) -> None:
        if self.seeks_to_refuse:
            self.seeks_to_refuse -= 1
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.calls.append(("seek", partition.partition, partition.offset))

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused.update(each.partition for each in partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused.difference_update(each.partition for each in partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.calls.append(("assign", *(each.partition for each in partitions)))

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self.calls.append(("unassign", *(each.partition for each in partitions)))

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return partitions

    def memberid(self) -> str:
        return "member"

    def store_offsets(self, offsets: list[TopicPartition]) -> None:
        raise KafkaException(KafkaError(KafkaError._STATE))

    def close(self) -> None:
        self.calls.append(("close",))
