"""What a caller sees of a shard's connection: gone, back, silent."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from argosy.errors import ShardUnavailableError
from argosy.graph.facts import GraphRef
from argosy.shards.engine import Engine
from tests.shards.engines import NO_SOURCE, person
from tests.shards.served import S, Served, serving


@pytest.fixture
async def served(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as served:
        yield served


async def test_a_shard_that_is_gone_is_said_at_once_and_its_return_is_noticed(
    served: Served, engine: Engine, ref: GraphRef
) -> None:
    shard = served.transport()
    assert await shard.get_nodes(ref, ["ada"], deadline_s=S) == [None]
    port = int(served.address.rpartition(":")[2])
    await served.server.stop(0)

    for _ in range(20):
        began_s = time.monotonic()
        with pytest.raises(ShardUnavailableError):  # a write was not sent, and says so
            await shard.apply(ref, [person("ada")], key=None, token=None, source=NO_SOURCE, deadline_s=S)
        assert time.monotonic() - began_s < 3

    async with serving(engine, shard_port=port):
        until_s = time.monotonic() + 5
        while True:
            try:
                assert await shard.get_nodes(ref, ["ada"], deadline_s=S) == [None]
                break
            except ShardUnavailableError:
                assert time.monotonic() < until_s
                await asyncio.sleep(0.05)


async def test_an_address_where_nobody_speaks_is_unavailable_long_before_a_deadline(served: Served) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        began_s = time.monotonic()

        with pytest.raises(ShardUnavailableError):
            await served.transport(address=f"127.0.0.1:{port}").identify(deadline_s=30.0)

        assert time.monotonic() - began_s < 5


async def test_many_calls_share_a_connection(served: Served, ref: GraphRef) -> None:
    shard = served.transport()

    found = await asyncio.gather(*(shard.get_nodes(ref, [str(n)], deadline_s=S) for n in range(200)))

    assert found == [[None]] * 200
