"""A shard for gateways: the real engine and real views, served over gRPC, and the only member of the directory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.graph.graphs import Graphs, open_graphs
from argosy.graph.seed import Seed
from argosy.graph.transports.connect import GrpcConnect, connect_to_shards
from argosy.secret import load_keys
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.server import ShardServer
from argosy.shards.shard import Shard
from argosy.store.graph import Directory
from argosy.store.pool import open_pool


class ShardOfTest:
    """endpoint: where it answers. server: ends when a test stops it."""

    def __init__(self, shard: Shard, server: ShardServer) -> None:
        self.shard = shard
        self.server = server
        self.endpoint = server.address

    async def stop(self) -> None:
        await self.server.stop(0)


@asynccontextmanager
async def shard_served(settings: Settings, folder: Path) -> AsyncIterator[ShardOfTest]:
    """Serve a shard, and make it the only member. Graphs that the directory had before are forgotten."""
    clock = SystemClock()
    keys = load_keys(settings.graph_service_auth_secret, settings.argosy_data_dir)
    own = settings.model_copy(update={"shard_port": 0, "shard_dir": str(folder)})
    engine = open_engine(own, is_own_process=False)
    shard = open_shard(own, engine, clock)
    server = ShardServer(shard, engine.member_id, keys.shards, clock, own)
    await server.start()
    try:
        await forget_shards(settings.state_db_uri)
        async with open_pool(settings, settings.state_db_uri) as pool:
            await Seed(Directory(pool), GrpcConnect(keys.shards, clock, settings), clock).settle([server.address], 5.0)
        yield ShardOfTest(shard, server)
    finally:
        await server.stop(0)
        await shard.drain(1.0)
        await shard.end()


@asynccontextmanager
async def graphs_of_worker(settings: Settings) -> AsyncIterator[Graphs]:
    """The graphs as a worker beside the gateway has them."""
    connect = connect_to_shards(settings, SystemClock())
    async with open_pool(settings, settings.state_db_uri) as pool, open_graphs(settings, pool, connect) as graphs:
        yield graphs


async def forget_shards(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    await connection.execute("DELETE FROM graphs")
    await connection.execute("DELETE FROM shards")
    await connection.close()
