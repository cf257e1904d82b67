"""What Kafka says about a topic: which one it is, and what its partitions hold. Futures of librdkafka become awaits."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.log import Identity, Span
from argosy.logs.kafka_config import admin_config, code_of, reason_of, unavailable

REQUEST_TIMEOUT_S: Final = 5.0
# A restarted broker refuses what an older cache of leaders asks for, and being refused does not refresh that cache.
_STALE: Final = (
    KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION,
)  # fmt: skip
_STALE_TRIES_MAX: Final = 5
_STALE_WAIT_S: Final = 0.1
_SLACK_S: Final = 1.0  # librdkafka's own time-out should come first: it says why


async def answer(future: "Future[Any]", timeout_s: float = REQUEST_TIMEOUT_S) -> Any:
    """The result of an admin request. Raises KafkaException, TimeoutError."""
    async with asyncio.timeout(timeout_s + _SLACK_S):
        return await asyncio.wrap_future(future)


class KafkaMetadata:
    """Reads about one topic. Every call is bounded by REQUEST_TIMEOUT_S and raises LogUnavailableError.

    Raises SettingError for settings that no client can be made of.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic
        self._clock = SystemClock()
        self._config = admin_config(settings)
        try:
            self._admin = AdminClient(self._config)
        except KafkaException as error:
            raise SettingError(f"the Kafka client refuses its settings: {reason_of(error)}") from error

    async def describe(self) -> Any | None:
        """confluent_kafka's TopicDescription; None when there is no such topic."""
        futures = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=REQUEST_TIMEOUT_S)
        try:
            return await answer(futures[self._topic])
        except KafkaException as error:
            if code_of(error) in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID):
                return None
            raise unavailable(error) from error
        except TimeoutError as error:
            raise unavailable(error) from error

    async def identity(self) -> Identity:
        """Raises SettingError when there is no such topic."""
        try:
            cluster = await answer(self._admin.describe_cluster(request_timeout=REQUEST_TIMEOUT_S))
        except (KafkaException, TimeoutError) as error:
            raise unavailable(error) from error
        topic = await self.describe()
        if topic is None:
            raise SettingError(f"the topic {self._topic} does not exist: run `argosy topics`")
        return Identity(cluster.cluster_id, str(topic.topic_id), len(topic.partitions))

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        begins, ends = await asyncio.gather(
            self._offsets(partitions, OffsetSpec.earliest()), self._offsets(partitions, OffsetSpec.latest())
        )
        return {partition: Span(begins[partition], ends[partition]) for partition in partitions}

    async def _offsets(self, partitions: Sequence[int], spec: OffsetSpec) -> dict[int, int]:
        """Asks again with a client that knows nothing yet when the cache of leaders was stale: for a moment after a
        restart, or after a topic was made again, so are the brokers' own.
        """
        for tries_left in reversed(range(_STALE_TRIES_MAX)):
            try:
                return await self._ask_offsets(partitions, spec)
            except (KafkaException, TimeoutError) as error:
                is_stale = code_of(error) in _STALE
                if is_stale:
                    self._admin = AdminClient(self._config)
                if not (is_stale and tries_left):
                    raise unavailable(error) from error
                await self._clock.sleep(_STALE_WAIT_S)
        return {}

    async def _ask_offsets(self, partitions: Sequence[int], spec: OffsetSpec) -> dict[int, int]:
        if not partitions:
            return {}
        admin = self._admin  # held until it has answered: a client that is replaced meanwhile takes its answers along
        futures = admin.list_offsets(
            {TopicPartition(self._topic, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=REQUEST_TIMEOUT_S,
        )
        return {each.partition: (await answer(future)).offset for each, future in futures.items()}
