"""A shard, a fleet beside it, and the hand of a gateway."""

from collections.abc import AsyncIterator

import pytest

from tests.harness.fixtures import *  # noqa: F403
from tests.harness.fleet import Fleet
from tests.harness.sharded import *  # noqa: F403
from tests.ingest.hand import GatewayHand
from tests.shards.processes import ShardProcess


@pytest.fixture  # type: ignore[no-redef]
def settings(shard: ShardProcess) -> dict[str, str]:
    return {"GRAPH_SERVICE_ENDPOINTS": shard.endpoint, "GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2"}


@pytest.fixture
async def hand(idle_fleet: Fleet) -> AsyncIterator[GatewayHand]:
    async with GatewayHand.of(idle_fleet) as hand:
        yield hand
