"""What `argosy topics` creates, and what it has to say about what it finds."""

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from argosy.config import Settings
from argosy.errors import SettingError
from tests.harness.logs import ensure_turns


def admin(settings: Settings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})


async def make(settings: Settings, **config: str) -> None:
    """A topic as somebody else made it."""
    topic = NewTopic(settings.topic, 4, 1, config=config)
    client = admin(settings)  # ends what it does when nobody holds it
    await asyncio.wrap_future(client.create_topics([topic])[settings.topic])


async def read_config(settings: Settings) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, settings.topic)
    client = admin(settings)
    found = await asyncio.wrap_future(client.describe_configs([resource])[resource])
    return {name: entry.value for name, entry in found.items()}


async def test_a_topic_that_is_created_keeps_its_records(kafka_settings: Settings) -> None:
    assert await ensure_turns(kafka_settings, "") == []

    config = await read_config(kafka_settings)

    assert (config["retention.ms"], config["retention.bytes"], config["cleanup.policy"]) == ("-1", "-1", "delete")
    assert int(config["max.message.bytes"]) > kafka_settings.payload_size_bytes_max + 65_536


async def test_a_topic_that_forgets_is_warned_about(kafka_settings: Settings) -> None:
    await make(kafka_settings, **{"retention.ms": "604800000"})

    [warning] = await ensure_turns(kafka_settings, "")

    assert "retention.ms=604800000" in warning
    assert kafka_settings.topic in warning


async def test_a_topic_that_refuses_large_inputs_is_warned_about(kafka_settings: Settings) -> None:
    await make(kafka_settings, **{"retention.ms": "-1", "max.message.bytes": "1000"})

    [warning] = await ensure_turns(kafka_settings, "")

    assert "PAYLOAD_SIZE_BYTES_MAX" in warning


async def test_a_compacted_topic_is_refused(kafka_settings: Settings) -> None:
    await make(kafka_settings, **{"cleanup.policy": "compact"})

    with pytest.raises(SettingError, match="compacted"):
        await ensure_turns(kafka_settings, "")


async def test_more_replicas_than_brokers_are_refused(kafka_settings: Settings) -> None:
    with pytest.raises(SettingError, match="KAFKA_REPLICATION=5"):
        await ensure_turns(kafka_settings.model_copy(update={"kafka_replication": 5}), "")


async def test_two_that_create_the_same_topic_at_once_both_find_it_made(kafka_settings: Settings) -> None:
    assert await asyncio.gather(*(ensure_turns(kafka_settings, "") for _ in range(4))) == [[]] * 4


async def test_settings_that_no_client_can_be_made_of_are_a_setting_error(kafka_settings: Settings) -> None:
    changed = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "NONSENSE"}

    with pytest.raises(SettingError):
        await ensure_turns(kafka_settings.model_copy(update=changed), "")
