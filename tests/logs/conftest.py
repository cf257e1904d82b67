"""A Kafka topic of its own for one test."""

import uuid

import pytest

from argosy.config import Settings, load


@pytest.fixture
def kafka_settings(broker: str) -> Settings:
    name = f"t{uuid.uuid4().hex[:10]}"
    return load(
        {},
        kafka_bootstrap_servers=broker,
        kafka_topic_prefix=name,
        kafka_group=name,
        agent_turns_partitions=4,
        log_append_timeout_s=5.0,
    )


@pytest.fixture
def postgres_settings() -> Settings:
    return load({}, agent_turns_partitions=4, log_append_timeout_s=3.0)
