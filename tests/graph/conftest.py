"""A directory in Postgres, shards in memory, and gateways that ask them."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from argosy import config
from argosy.config import Settings
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.store.graph import Directory
from argosy.store.pool import Pool
from tests.graph.memory_shards import MemoryShards
from tests.harness.hand_clock import AheadClock
from tests.store.conftest import *  # noqa: F403

OpenGateway = Callable[[], Awaitable[Graphs]]


@pytest.fixture
def settings() -> Settings:
    """A shard that is down opens its breaker at the third failure, before the fourth try."""
    breaker = {"ENGINE_BREAKER_THRESHOLD": "3", "ENGINE_BREAKER_COOLDOWN": "0.3"}
    return config.load({"GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2", "GRAPH_CACHE_S": "60", **breaker})


@pytest.fixture
def graph_dsn(store_18_dsn: str) -> str:
    return store_18_dsn


@pytest.fixture
async def directory(graph_dsn: str) -> AsyncIterator[Directory]:
    pool = Pool(await emptied(graph_dsn), 4, 30.0)  # noqa: F405
    yield Directory(pool)
    await pool.close()


@pytest.fixture
async def shards(directory: Directory) -> MemoryShards:
    """Three shards, which are the members."""
    shards = MemoryShards("one", "two", "three")
    await directory.seed(shards.members)
    return shards


@pytest.fixture
def clock() -> AheadClock:
    """The one of the gateways: pauses are passed over by setting it ahead."""
    return AheadClock()


@pytest.fixture
async def open_gateway(
    directory: Directory, shards: MemoryShards, settings: Settings, clock: AheadClock
) -> AsyncIterator[OpenGateway]:
    """Opens what a gateway asks graphs through: each has its own memory of rows, and its own lines."""
    opened: list[Members] = []

    async def open_one() -> Graphs:
        opened.append(Members(directory, shards, settings, clock))
        await opened[-1].refresh()
        return Graphs(directory, opened[-1], settings, clock)

    yield open_one
    for each in opened:
        await each.close()


@pytest.fixture
async def graphs(open_gateway: OpenGateway) -> Graphs:
    return await open_gateway()
