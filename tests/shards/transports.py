"""A shard behind each transport, and a graph there: `from tests.shards.transports import *`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.graph.facts import GraphRef
from argosy.graph.transport import Transport
from tests.shards.engines import Opened, new_ref
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, shard_of

__all__ = ["there", "transport"]


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def transport(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    bounds = {"graph_rows_max": 1_000, "graph_answer_size_bytes_max": 1_048_576, "shard_stall_s": 0.2}
    reached = request.param(opened(tmp_path), **bounds)
    async with reached as transport:
        yield transport


@pytest.fixture
async def there(transport: Transport) -> GraphRef:
    """An empty graph."""
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    return ref
