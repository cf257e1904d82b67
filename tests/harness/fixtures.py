"""Fixtures of the tests that run real fleets: `from tests.harness.fixtures import *` in a conftest."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.checker.sink import Sink
from tests.harness.client import Client
from tests.harness.fleet import Fleet

__all__ = ["client", "fleet", "idle_fleet", "log_name", "partitions", "sink"]


@pytest.fixture(params=["kafka", "postgres"])
def log_name(request: pytest.FixtureRequest) -> str:
    """Every test that asks for a fleet runs on both logs."""
    return str(request.param)


@pytest.fixture
def partitions() -> int:
    """Of the fleet's topic; a test that wants all sessions in one says so by parametrize."""
    return 8


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture
def idle_fleet(
    request: pytest.FixtureRequest, log_name: str, partitions: int, database: str, tmp_path: Path
) -> Iterator[Fleet]:
    """Database and topic are ready, no process runs yet."""
    bootstrap = str(request.getfixturevalue("broker")) if log_name == "kafka" else ""
    fleet = Fleet(tmp_path / "fleet", database, bootstrap, partitions)
    try:
        fleet.prepare()
        yield fleet
    finally:
        print(fleet.logs())  # shown when the test fails
        fleet.stop()


@pytest.fixture
def fleet(idle_fleet: Fleet) -> Fleet:
    """With one gateway."""
    idle_fleet.gateway()
    return idle_fleet


@pytest.fixture
async def client(idle_fleet: Fleet, sink: Sink) -> AsyncIterator[Client]:
    client = Client(idle_fleet.url, sink)
    yield client
    await client.close()
