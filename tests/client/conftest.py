from collections.abc import AsyncIterator

import pytest

from tests.client.both import Both
from tests.client.scripted import Scripted
from tests.harness.fixtures import (
    eligible_s,
    fleet,
    idle_fleet,
    latch,
    log_name,
    partitions,
    settings,
    shared_sink,
    sink,
)

__all__ = ["eligible_s", "fleet", "idle_fleet", "latch", "log_name", "partitions", "settings", "shared_sink", "sink"]


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


@pytest.fixture
async def other_gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)
