"""What Kafka says about a topic: its identity, and what its partitions hold. Awaits librdkafka's futures.

Any broker may answer, and each learns of a new topic or leader in its own time (measured on a busy machine with three
brokers: one of six first questions about a topic that had just been made met a broker that did not know it). So
"unknown" is one broker's word. A process that begins to use a topic asks again for KAFKA_TOPIC_VISIBLE_S
(`known_answer`, `first`); a caller that looks at the topic every second asks once, and its next look is the second
question.
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
from argosy.logs.kafka_config import Refusals, admin_config, code_of, reason_of
from argosy.logs.topic import Topic

REQUEST_TIMEOUT_S: Final = 5.0  # of the first request, and of requests of an operator
# Of callers that ask again every second and have other things to do: unreachable brokers must not hold them up.
_AGAIN_TIMEOUT_S: Final = 2.0
_AWAY_TIMEOUT_S: Final = 1.0
# What a broker, or librdkafka's cache, answers about a topic that it does not know yet.
_UNKNOWN: Final = (
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE, KafkaError._NOENT,
)  # fmt: skip
_UNKNOWN_WAIT_S: Final = 0.1  # brokers tell each other of a topic within moments
# A restarted broker refuses requests from an older cache of leaders, and a refusal does not refresh that cache.
_STALE: Final = (
    KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._NOENT,
)  # fmt: skip
_STALE_TRIES_MAX: Final = 5  # see _offsets
_STALE_WAIT_S: Final = 0.1  # the brokers' own caches are right again within moments
_SLACK_S: Final = 1.0  # librdkafka's own time-out should come first: its error says why

_Answer = TypeVar("_Answer")


async def answer(future: "Future[Any]", timeout_s: float = REQUEST_TIMEOUT_S) -> Any:
    """Return the result of an admin request. Raises KafkaException, and TimeoutError one second after timeout_s."""
    async with asyncio.timeout(timeout_s + _SLACK_S):
        return await asyncio.wrap_future(future)


async def known_answer(ask: Callable[[], Awaitable[_Answer]], clock: Clock, within_s: float) -> _Answer:
    """Return the answer of `ask`, asking again while a broker answers that it does not know the topic or its leaders.

    Raises what `ask` raises; after within_s, also its last KafkaException of that kind.
    """
    deadline_s = clock.monotonic_s() + within_s
    while True:
        try:
            return await ask()
        except KafkaException as error:
            if code_of(error) not in _UNKNOWN or clock.monotonic_s() >= deadline_s:
                raise
        await clock.sleep(_UNKNOWN_WAIT_S)


class KafkaMetadata:
    """Reads the metadata of one topic.

    The first question may take REQUEST_TIMEOUT_S, later ones 2 s, and after a failure 1 s. Raises LogUnavailableError,
    and SettingError when the Kafka client refuses its settings.
    """

    def __init__(self, settings: Settings, topic: Topic, clock: Clock) -> None:
        self._topic = topic
        self._visible_s = settings.kafka_topic_visible_s
        self._clock = clock
        self._refusals = Refusals()
        self._config = admin_config(settings) | {"error_cb": self._refusals.note}
        self._timeout_s = REQUEST_TIMEOUT_S
        self._known: tuple[str, str] | None = None
        try:
            self._admin = AdminClient(self._config)
        except KafkaException as error:
            raise SettingError(f"the Kafka client refuses its settings: {reason_of(error)}") from error

    async def describe(self) -> Any | None:
        """Return confluent_kafka's TopicDescription, or None when the broker that answers knows no such topic."""
        timeout_s = self._timeout_s
        futures = self._admin.describe_topics(TopicCollection([self._topic.name]), request_timeout=timeout_s)
        try:
            found = await answer(futures[self._topic.name], timeout_s)
        except KafkaException as error:
            if code_of(error) in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID):
                return None
            raise self._away(error) from error
        except TimeoutError as error:
            raise self._away(error) from error
        self._timeout_s = _AGAIN_TIMEOUT_S
        self._refusals.said = ""
        return found

    async def first(self) -> Any | None:
        """Describe the topic for a caller that begins to use it.

        Asks again while the broker that answers does not know the topic; None when that lasts KAFKA_TOPIC_VISIBLE_S.
        """
        deadline_s = self._clock.monotonic_s() + self._visible_s
        while (topic := await self.describe()) is None and self._clock.monotonic_s() < deadline_s:
            await self._clock.sleep(_UNKNOWN_WAIT_S)
        return topic

    async def identity(self) -> Identity:
        """Return the topic's identity. Raises SettingError when the broker that answers knows no such topic."""
        return await self._identity_of(await self.describe())

    async def first_identity(self) -> Identity:
        """Return the topic's identity for a caller that begins to use it.

        Raises SettingError when no broker that answered in KAFKA_TOPIC_VISIBLE_S knew the topic.
        """
        return await self._identity_of(await self.first())

    async def _identity_of(self, topic: Any | None) -> Identity:
        if topic is None:
            raise SettingError(self._topic.absence)
        topic_id = str(topic.topic_id)
        if self._known is None or self._known[1] != topic_id:  # topic ids never repeat, in other clusters either
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
        return self._refusals.unavailable(self._admin, error)

    async def spans(self, partitions: Sequence[int]) -> dict[int, Span]:
        begins, ends = await asyncio.gather(
            self._offsets(partitions, OffsetSpec.earliest()), self._offsets(partitions, OffsetSpec.latest())
        )
        return {partition: Span(begins[partition], ends[partition]) for partition in partitions}

    async def _offsets(self, partitions: Sequence[int], spec: OffsetSpec) -> dict[int, int]:
        """Return the offsets, asking again with a new client when the cache of leaders was stale.

        For a moment after a restart, or after a topic was made again, the brokers' own caches are stale as well; hence
        up to 5 tries.
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
        admin = self._admin  # a reference until it has answered: a client that is replaced and freed loses its answers
        futures = admin.list_offsets(
            {TopicPartition(self._topic.name, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=timeout_s,
        )
        offsets = {each.partition: (await answer(future, timeout_s)).offset for each, future in futures.items()}
        if unknown := [partition for partition, offset in offsets.items() if offset < 0]:
            # -1001 without an error: the partition has no leader to answer, as in the moments after a broker's death.
            raise LogUnavailableError(
                f"Kafka does not know the offsets of partitions {unknown} of {self._topic.name} now"
            )
        return offsets
