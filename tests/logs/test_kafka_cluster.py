"""Three brokers: what `argosy topics` makes of them, and one of them dies."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from argosy.clock import SystemClock
from argosy.config import Settings, load
from argosy.local.broker import Broker
from argosy.log import Outcome, Span
from argosy.logs.kafka_admin import KafkaAdmin
from argosy.logs.kafka_metadata import answer, known_answer
from argosy.logs.topic import turns_topic
from tests.conftest import open_folder
from tests.contract.conftest import Log, entries, until
from tests.harness import broker_nodes
from tests.harness.logs import ensure_turns

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Broker]:
    with open_folder() as path, Broker(path, nodes=3, port=0, heap_mb=256) as broker:
        yield broker


@pytest.fixture
def settings(cluster: Broker) -> Settings:
    name = f"t{uuid.uuid4().hex[:10]}"
    return load(
        {},
        kafka_bootstrap_servers=cluster.bootstrap_servers,
        kafka_topic_prefix=name,
        kafka_group=name,
        agent_turns_partitions=4,
    )


async def known(ask: Callable[[], "Future[Any]"]) -> Any:
    """The answer of a broker that has heard of the topic."""
    return await known_answer(lambda: answer(ask()), SystemClock(), 20)


async def test_a_topic_gets_three_replicas_of_which_two_must_have_a_record(settings: Settings) -> None:
    assert await ensure_turns(settings, "") == []

    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    resource = ConfigResource(ResourceType.TOPIC, settings.topic)
    topic = await known(lambda: admin.describe_topics(TopicCollection([settings.topic]))[settings.topic])
    config = await known(lambda: admin.describe_configs([resource])[resource])
    assert {len(partition.replicas) for partition in topic.partitions} == {3}
    assert config["min.insync.replicas"].value == "2"


async def test_topics_that_were_just_made_are_known_to_all_who_begin_to_use_them(settings: Settings) -> None:
    """Each broker hears of a topic in its own time: on a busy machine one of six was refused."""

    async def begin(number: int) -> None:
        fresh = settings.model_copy(update={"kafka_topic_prefix": f"{settings.kafka_topic_prefix}-{number}"})
        assert await ensure_turns(fresh, "") == []
        admin = KafkaAdmin(fresh, turns_topic(fresh), SystemClock())
        log = Log(fresh, "")
        writer, owner, warnings = await asyncio.gather(log.writer(), log.owner(), admin.warnings())
        assert warnings == []
        assert writer.identity == owner.identity
        assert await owner.reader.spans(range(4)) == {partition: Span(0, 0) for partition in range(4)}
        [result] = await writer.append(entries(0, 1))
        assert result.outcome is Outcome.APPENDED
        await log.close()

    for round_no in range(6):
        await asyncio.gather(*(begin(6 * round_no + each) for each in range(6)))


async def test_one_replica_on_three_brokers_is_never_silent(settings: Settings) -> None:
    [warning] = await ensure_turns(settings.model_copy(update={"kafka_replication": 1}), "")

    assert "one replica on a cluster of 3 brokers" in warning


async def test_three_replicas_that_need_not_agree_are_warned_about(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    topic = NewTopic(settings.topic, 4, 3, config={"retention.ms": "-1", "min.insync.replicas": "1"})
    await asyncio.wrap_future(admin.create_topics([topic])[settings.topic])

    [warning] = await ensure_turns(settings, "")

    assert "min.insync.replicas" in warning


async def test_nothing_that_was_appended_is_lost_with_a_broker(cluster: Broker, settings: Settings) -> None:
    """F4, F6."""
    await ensure_turns(settings, "")
    log = Log(settings, "")
    writer = await log.writer()
    owner = await log.owner()
    appended: dict[int, list[bytes]] = {partition: [] for partition in range(4)}

    async def post(partition: int, count: int) -> None:
        for number in range(count):
            [entry] = entries(partition, 1, number)
            [result] = await writer.append([entry])
            if result.outcome is Outcome.APPENDED:
                appended[partition].append(entry.value)
            await asyncio.sleep(0.005)

    posting = [asyncio.create_task(post(partition, 1_000)) for partition in range(4)]
    await until(lambda: owner.count > 500)
    await asyncio.to_thread(broker_nodes.kill, cluster, 2)
    async with asyncio.timeout(60):
        await asyncio.gather(*posting)
    await asyncio.to_thread(cluster.restart, 2)

    def has_all(partition: int) -> Callable[[], bool]:
        return lambda: set(owner.values(partition)) >= set(appended[partition])

    assert sum(map(len, appended.values())) > 3_900
    for partition in range(4):
        await until(has_all(partition))
        in_order = [value for value in owner.values(partition) if value in set(appended[partition])]
        assert in_order == appended[partition]
    await log.close()
