"""What Kafka answers about a topic and its offsets, played by a script: only what it really knows counts."""

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import OffsetSpec

from argosy.clock import SystemClock
from argosy.config import load
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Identity, Span
from argosy.logs import kafka_metadata
from argosy.logs.kafka_metadata import KafkaMetadata
from argosy.logs.topic import turns_topic
from tests.harness.hand_clock import HandClock

INVALID = -1001  # what librdkafka answers, without an error, for a partition that has no leader
LEADERLESS = {0: INVALID, 1: 12}


class FakeAdmin:
    """begins, ends: of each partition, an offset or the error that its future raises."""

    def __init__(self, begins: Mapping[int, Any], ends: Mapping[int, Any]) -> None:
        self._begins = begins
        self._ends = ends

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> "dict[TopicPartition, Future[Any]]":
        return {each: self._answer(each.partition, spec) for each, spec in asked.items()}

    def poll(self, _: float) -> int:
        return 0  # no error comes by itself

    def _answer(self, partition: int, spec: Any) -> "Future[Any]":
        offset = (self._begins if spec is EARLIEST else self._ends)[partition]
        future: Future[Any] = Future()
        if isinstance(offset, KafkaException):
            future.set_exception(offset)
        else:
            future.set_result(SimpleNamespace(offset=offset))
        return future


EARLIEST = object()


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> KafkaMetadata:
    """Its client is made of settings and asks nobody."""
    monkeypatch.setattr(OffsetSpec, "earliest", staticmethod(lambda: EARLIEST))
    settings = load({}, kafka_bootstrap_servers="127.0.0.1:1")
    return KafkaMetadata(settings, turns_topic(settings), SystemClock())


class Brokers:
    """Each question goes to the next broker, and then to the last again: it knows the topic, or says what it says."""

    def __init__(self, *says: KafkaException | None) -> None:
        self._says = list(says)
        self.asked = 0

    def describe_topics(self, asked: TopicCollection, **_: Any) -> "dict[str, Future[Any]]":
        said = self._says[min(self.asked, len(self._says) - 1)]
        self.asked += 1
        future: Future[Any] = Future()
        if said is None:
            future.set_result(SimpleNamespace(topic_id="id", partitions=[0, 1]))
        else:
            future.set_exception(said)
        return {"argosy.default": future}

    def poll(self, _: float) -> int:
        return 0

    def describe_cluster(self, **_: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(SimpleNamespace(cluster_id="cluster"))
        return future


UNKNOWN = KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def patient(clock: HandClock) -> KafkaMetadata:
    """Asks again for 10 s, which take no time."""
    settings = load({}, kafka_bootstrap_servers="127.0.0.1:1", kafka_topic_prefix="argosy", kafka_topic_visible_s=10)
    return KafkaMetadata(settings, turns_topic(settings), clock)


async def test_who_begins_to_use_a_topic_asks_again_while_brokers_have_not_heard_of_it(patient: KafkaMetadata) -> None:
    patient._admin = Brokers(UNKNOWN, UNKNOWN, None)

    assert await patient.first_identity() == Identity("cluster", "id", 2)


async def test_a_topic_that_nobody_knows_for_the_bound_does_not_exist(patient: KafkaMetadata, clock: HandClock) -> None:
    patient._admin = Brokers(UNKNOWN)
    began_s = clock.now_s

    with pytest.raises(SettingError, match="run `argosy topics`"):
        await patient.first_identity()

    assert clock.now_s - began_s == pytest.approx(10, abs=0.2)


async def test_who_looks_every_second_asks_once(patient: KafkaMetadata) -> None:
    patient._admin = brokers = Brokers(UNKNOWN)

    with pytest.raises(SettingError):
        await patient.identity()

    assert brokers.asked == 1


async def test_a_broker_that_is_away_is_not_asked_again_for_the_topic(patient: KafkaMetadata) -> None:
    patient._admin = brokers = Brokers(KafkaException(KafkaError(KafkaError._TRANSPORT)))

    with pytest.raises(LogUnavailableError):
        await patient.first_identity()

    assert brokers.asked == 1


async def test_a_span_is_what_both_ends_are_known_of(metadata: KafkaMetadata) -> None:
    metadata._admin = FakeAdmin({0: 3, 1: 0}, {0: 9, 1: 0})

    assert await metadata.spans([0, 1]) == {0: Span(3, 9), 1: Span(0, 0)}


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ({0: 3, 1: 5}, LEADERLESS),
        (LEADERLESS, {0: 30, 1: 50}),
        (LEADERLESS, LEADERLESS),
        ({0: -1, 1: 5}, {0: 3, 1: 5}),
    ],
    ids=["no end", "no begin", "neither", "any below zero"],
)
async def test_an_offset_that_is_not_known_is_no_position_but_a_log_that_is_away(
    metadata: KafkaMetadata, begins: dict[int, int], ends: dict[int, int]
) -> None:
    """Taken for a position, -1001 ended every worker of the lane."""
    metadata._admin = FakeAdmin(begins, ends)

    with pytest.raises(LogUnavailableError, match=r"does not know the offsets of partitions \[0\]"):
        await metadata.spans([0, 1])


async def test_it_is_asked_again_and_believed_when_the_partition_has_a_leader(metadata: KafkaMetadata) -> None:
    ends = dict(LEADERLESS)
    metadata._admin = FakeAdmin({0: 3, 1: 5}, ends)
    with pytest.raises(LogUnavailableError):
        await metadata.spans([0, 1])

    ends[0] = 9

    assert await metadata.spans([0, 1]) == {0: Span(3, 9), 1: Span(5, 12)}


async def test_a_stale_cache_of_leaders_is_asked_again_by_a_client_that_knows_nothing(
    metadata: KafkaMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH))
    metadata._admin = FakeAdmin({0: stale}, {0: stale})
    made: list[FakeAdmin] = []

    def make(_: object) -> FakeAdmin:
        made.append(FakeAdmin({0: 3}, {0: 9}))
        return made[-1]

    monkeypatch.setattr(kafka_metadata, "AdminClient", make)

    assert await metadata.spans([0]) == {0: Span(3, 9)}
    assert made


async def test_another_error_is_a_log_that_is_away(metadata: KafkaMetadata) -> None:
    refused = KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    metadata._admin = FakeAdmin({0: refused}, {0: 9})

    with pytest.raises(LogUnavailableError, match="LEADER_NOT_AVAILABLE"):
        await metadata.spans([0])
