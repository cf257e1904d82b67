"""How soon a killed worker is out of its group: set where the brokers let it, and said in words."""

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from argosy.config import Settings
from argosy.logs.kafka_group import Timing, how_to_lower, wanted_timing
from argosy.logs.open import open_reader, recovery
from argosy.logs.topic import turns_topic
from tests.harness.logs import ensure_turns

STOCK = {
    "group.consumer.min.session.timeout.ms": "45000",
    "group.consumer.max.session.timeout.ms": "60000",
    "group.consumer.min.heartbeat.interval.ms": "5000",
    "group.consumer.max.heartbeat.interval.ms": "15000",
}


@pytest.mark.parametrize(
    ("settings", "broker", "expected"),
    [
        (Timing(6_000, 500), {}, Timing(6_000, 500)),
        (Timing(6_000, 500), STOCK, Timing(45_000, 5_000)),
        (Timing(90_000, 500), STOCK, Timing(60_000, 5_000)),
        (Timing(50_000, 20_000), STOCK, Timing(50_000, 15_000)),
        (Timing(400, 500), {}, Timing(400, 399)),  # the brokers want the heartbeat below the time-out
    ],
)
def test_a_group_gets_what_the_settings_want_as_far_as_the_brokers_go(
    settings: Timing, broker: dict[str, str], expected: Timing
) -> None:
    assert wanted_timing(settings, broker) == expected


def test_what_is_longer_than_wanted_is_said_with_the_settings_of_the_brokers() -> None:
    wanted = Timing(6_000, 500)

    assert how_to_lower(wanted, Timing(6_000, 500)) == ""
    assert how_to_lower(wanted, Timing(3_000, 500)) == ""
    assert "group.consumer.min.session.timeout.ms=6000" in how_to_lower(wanted, Timing(45_000, 5_000))
    assert "group.consumer.min.heartbeat.interval.ms=500" in how_to_lower(wanted, Timing(45_000, 5_000))
    assert "45 s" in how_to_lower(wanted, None)


async def session_timeout_ms(settings: Settings) -> str:
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    group = ConfigResource(ResourceType.GROUP, f"{settings.kafka_group}.{settings.lane}")
    found = await asyncio.wrap_future(client.describe_configs([group])[group])
    return str(found["consumer.session.timeout.ms"].value)


async def test_a_reader_sets_its_group_and_knows_what_holds(kafka_settings: Settings) -> None:
    settings = kafka_settings.model_copy(update={"kafka_group_session_timeout_ms": 3_000})
    await ensure_turns(settings, "")
    reader = open_reader(settings, "", turns_topic(settings))

    await reader.open(lambda batch: None, lambda partitions: None)

    assert reader.session_timeout_s() == 3.0
    assert await session_timeout_ms(settings) == "3000"
    await reader.close()


async def test_brokers_that_allow_no_less_are_taken_at_their_minimum_and_it_is_said(kafka_settings: Settings) -> None:
    settings = kafka_settings.model_copy(update={"kafka_group_session_timeout_ms": 1_000})

    found = await recovery(settings, "", turns_topic(settings))

    assert found.session_timeout_s == 2.0  # the minimum of the tests' broker
    assert "after 2 s at the latest" in found.words
    assert "group.consumer.min.session.timeout.ms=1000" in found.words
