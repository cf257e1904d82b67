"""On which logs a test of a fleet runs: on both (the fixture `log_name`), or on one unless there is time."""

import pytest

from argosy.config import Settings
from argosy.logs.open import ensure_topic
from argosy.logs.topic import turns_topic

# As an operator does: Argosy itself never does.
DROP_TOPIC = "SELECT log_drop_topic($1)"

BOTH_IN_FAULTS = pytest.mark.parametrize("log_name", ["postgres", pytest.param("kafka", marks=pytest.mark.slow)])
KAFKA_FIRST = pytest.mark.parametrize("log_name", ["kafka", pytest.param("postgres", marks=pytest.mark.slow)])
KAFKA_ONLY = pytest.mark.parametrize("log_name", ["kafka"])


async def ensure_turns(settings: Settings, dsn: str) -> list[str]:
    """Make the lane's topic, or check it, and no other."""
    return await ensure_topic(settings, dsn, turns_topic(settings))
