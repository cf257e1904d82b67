"""What Kafka says about a topic: which one it is, and what its partitions hold. Futures of librdkafka become awaits.

Any broker may answer, and each hears of a new topic or leader in its own time (measured on a busy machine, three
brokers: one of six first questions about a topic that was just made met a broker that did not know it). So "unknown" is
one broker's word. Whoever begins to use a topic asks again for KAFKA_TOPIC_VISIBLE_S (`heard`, `first`); whoever looks
at it every second asks once, and takes the next look for the second question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Identity, Span
from argosy.logs.kafka_config import admin_config, code_of, reason_of, unavailable

REQUEST_TIMEOUT_S: Final = 5.0  # of the first request, and of what an operator asks
# Of those who ask again every second and have other things to do: brokers that are away must not hold them up.
_AGAIN_TIMEOUT_S: Final = 2.0
_AWAY_TIMEOUT_S: Final = 1.0
# What a broker, or librdkafka's cache, says of a topic that it has not heard of yet.
_UNHEARD: Final = (
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE, KafkaError._NOENT,
)  # fmt: skip
_UNHEARD_WAIT_S: Final = 0.1
# A restarted broker refuses what an older cache of leaders asks for, and being refused does not refresh that cache.
_STALE: Final = (
    KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._NOENT,
)  # fmt: skip
_STALE_TRIES_MAX: Final = 5
_STALE_WAIT_S: Final = 0.1
_SLACK_S: Final = 1.0  # librdkafka's own time-out should come first: it says why

_Answer = TypeVar("_Answer")


async def answer(future: "Future[Any]", timeout_s: float = REQUEST_TIMEOUT_S) -> Any:
    """The result of an admin request. Raises KafkaException, TimeoutError."""
    async with asyncio.timeout(timeout_s + _SLACK_S):
        return await asyncio.wrap_future(future)


async def heard(ask: Callable[[], Awaitable[_Answer]], clock: Clock, within_s: float) -> _Answer:
    """The answer of ask, which is asked again while a broker has not heard of the topic or of its leaders.

    Raises what ask raises, its last such KafkaException when within_s has passed.
    """
    deadline_s = clock.monotonic_s() + within_s
    while True:
        try:
            return await ask()
        except KafkaException as error:
            if code_of(error) not in _UNHEARD or clock.monotonic_s() >= deadline_s:
                raise
        await clock.sleep(_UNHEARD_WAIT_S)


class KafkaMetadata:
    """Reads about one topic. Every question is bounded by REQUEST_TIMEOUT_S, later ones by less.

    Raises LogUnavailableError; SettingError for settings that no client can be made of.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._topic = settings.topic
        self._visible_s = settings.kafka_topic_visible_s
        self._clock = clock
        self._config = admin_config(settings)
        self._timeout_s = REQUEST_TIMEOUT_S
        self._known: tuple[str, str] | None = None
        try:
            self._admin = AdminClient(self._config)
        except KafkaException as error:
            raise SettingError(f"the Kafka client refuses its settings: {reason_of(error)}") from error

    async def describe(self) -> Any | None:
        """confluent_kafka's TopicDescription; None when the broker that answers knows no such topic."""
        timeout_s = self._timeout_s
        futures = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=timeout_s)
        try:
            found = await answer(futures[self._topic], timeout_s)
        except KafkaException as error:
            if code_of(error) in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID):
                return None
            raise self._away(error) from error
        except TimeoutError as error:
            raise self._away(error) from error
        self._timeout_s = _AGAIN_TIMEOUT_S
        return found

    async def first(self) -> Any | None:
        """The same for who begins to use the topic: None when nobody has known it for KAFKA_TOPIC_VISIBLE_S."""
        deadline_s = self._clock.monotonic_s() + self._visible_s
        while (topic := await self.describe()) is None and self._clock.monotonic_s() < deadline_s:
            await self._clock.sleep(_UNHEARD_WAIT_S)
        return topic

    async def identity(self) -> Identity:
        """Raises SettingError when the broker that answers knows no such topic."""
        return await self._identity_of(await self.describe())

    async def first_identity(self) -> Identity:
        """The same for who begins to use the topic. Raises SettingError when there is none."""
        return await self._identity_of(await self.first())

    async def _identity_of(self, topic: Any | None) -> Identity:
        if topic is None:
            raise SettingError(f"the topic {self._topic} does not exist: run `argosy topics`")
        topic_id = str(topic.topic_id)
        if self._known is None or self._known[1] != topic_id:  # ids of topics do not repeat: nor in another cluster
            self._known = await self._cluster_id(), topic_id
        return Identity(*self._known, len(topic.partitions))

    async def _cluster_id(self) -> str:
        timeout_s = self._timeout_s
        try:
            cluster = await answer(self._admin.describe_cluster(request_timeout=timeout_s), timeout_s)
        except (KafkaException, TimeoutError) as error:
            raise self._away(error) from error
        return str(cluster.cluster_id)

    def _away(self, error: BaseException) -> LogUnavailableError:
        self._timeout_s = min(self._timeout_s, _AWAY_TIMEOUT_S)
        return unavailable(error)

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
                    raise self._away(error) from error
                await self._clock.sleep(_STALE_WAIT_S)
        return {}

    async def _ask_offsets(self, partitions: Sequence[int], spec: OffsetSpec) -> dict[int, int]:
        if not partitions:
            return {}
        timeout_s = self._timeout_s
        admin = self._admin  # held until it has answered: a client that is replaced meanwhile takes its answers along
        futures = admin.list_offsets(
            {TopicPartition(self._topic, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=timeout_s,
        )
        offsets = {each.partition: (await answer(future, timeout_s)).offset for each, future in futures.items()}
        if unknown := [partition for partition, offset in offsets.items() if offset < 0]:
            # -1001, without an error: the partition has no leader that could say, as in the moments after a death.
            raise LogUnavailableError(f"Kafka does not know the offsets of partitions {unknown} of {self._topic} now")
        return offsets
