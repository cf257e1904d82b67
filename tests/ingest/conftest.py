"""A shard, a fleet beside it, and the hand of a gateway."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet
from tests.ingest.hand import GatewayHand
from tests.shards.processes import ShardProcess

SECRET = "a secret of the tests, long enough"


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[ShardProcess]:
    shard = ShardProcess(tmp_path / "shard", GRAPH_SERVICE_AUTH_SECRET=SECRET)
    shard.start()
    yield shard
    shard.bury()


@pytest.fixture  # type: ignore[no-redef]
def settings(shard: ShardProcess) -> dict[str, str]:
    return {"GRAPH_SERVICE_ENDPOINTS": shard.endpoint, "GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2"}


@pytest.fixture
async def hand(idle_fleet: Fleet) -> AsyncIterator[GatewayHand]:
    async with GatewayHand.of(idle_fleet) as hand:
        yield hand
