"""Fixtures of the tests that run real fleets: `from tests.harness.fixtures import *` in a conftest."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.checker.sink import Sink
from tests.harness.client import Client
from tests.harness.effects import Latch
from tests.harness.fleet import Fleet

__all__ = [
    "client",
    "eligible_s",
    "fleet",
    "idle_fleet",
    "latch",
    "log_name",
    "partitions",
    "settings",
    "shared_sink",
    "sink",
]


@contextlib.contextmanager
def prepared(fleet: Fleet) -> Iterator[Fleet]:
    """Its database and topic are ready, no process runs yet; ended afterwards."""
    try:
        fleet.prepare()
        yield fleet
    finally:
        print(fleet.logs())  # shown when the test fails
        fleet.stop()


@pytest.fixture(params=["kafka", "postgres"])
def log_name(request: pytest.FixtureRequest) -> str:
    """Every test that asks for a fleet runs on both logs."""
    return str(request.param)


@pytest.fixture
def partitions() -> int:
    """Of the fleet's topic; a test that wants all sessions in one says so by parametrize."""
    return 8


@pytest.fixture
def eligible_s() -> float:
    """For how long the log leaves its partitions with a member that it does not hear of."""
    return 2.0


@pytest.fixture
def settings() -> dict[str, str]:
    """Of every process of the fleet; a test that wants others says so by parametrize."""
    return {}


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path)


@pytest.fixture(scope="session")
def shared_sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture
def sink(shared_sink: Sink) -> Sink:
    """Nothing has reached it yet."""
    shared_sink.reset()
    return shared_sink


@pytest.fixture
def idle_fleet(
    request: pytest.FixtureRequest,
    log_name: str,
    partitions: int,
    eligible_s: float,
    settings: dict[str, str],
    database: str,
    tmp_path: Path,
) -> Iterator[Fleet]:
    """Database and topic are ready, no process runs yet."""
    bootstrap = str(request.getfixturevalue("broker")) if log_name == "kafka" else ""
    fleet = Fleet(tmp_path / "fleet", database, bootstrap, partitions, eligible_s=eligible_s, **settings)
    with prepared(fleet):
        yield fleet


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
