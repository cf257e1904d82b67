"""Shards as processes that come and go, leaders as processes, and graphs that are asked from the test's process."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from argosy import config
from argosy.clock import SystemClock
from argosy.errors import ShardUnavailableError
from argosy.graph.facts import NOBODY, GraphName, Member
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.transport import Transport
from argosy.graph.transports.connect import GrpcConnect
from argosy.secret import load_keys
from argosy.store.graph import Directory
from argosy.store.move import Move, list_moves
from argosy.store.pool import Pool
from argosy.store.shards import ShardChanges
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port
from tests.shards.processes import ShardProcess

TENANT: Final = "default"
QUICK: Final = {"MAINTENANCE_TICK_S": "0.2", "MAINTENANCE_TIMEOUT_S": "20", "LEADER_SILENT_S": "1.5"}
CALLERS: Final = {"GRAPH_TIMEOUT_S": "10", "GRAPH_WATCH_S": "1", "ENGINE_BREAKER_COOLDOWN": "0.3"}


class Moving:
    """Shards by their names, the members among them, and whoever asks for graphs."""

    def __init__(self, fleet: Fleet, folder: Path, pool: Pool, connect: GrpcConnect, settings: config.Settings) -> None:
        self.fleet = fleet
        self.pool = pool
        self.directory = Directory(pool)
        self.changes = ShardChanges(pool)
        self.members = Members(self.directory, connect, settings, SystemClock())
        self.graphs = Graphs(self.directory, self.members, settings, SystemClock())
        self.shards: dict[str, ShardProcess] = {}
        self._connect = connect
        self._folder = folder
        self._secret = fleet.environment["GRAPH_SERVICE_AUTH_SECRET"]

    def start_shard(self, name: str) -> ShardProcess:
        """A new shard, which is no member yet."""
        self.shards[name] = ShardProcess(self._folder / name, GRAPH_SERVICE_AUTH_SECRET=self._secret)
        self.shards[name].start()
        return self.shards[name]

    async def seed(self, *names: str) -> None:
        """New shards that are the first members."""
        await asyncio.gather(*(asyncio.to_thread(self.start_shard, each) for each in names))
        await self.directory.seed([await self.member(each) for each in names])
        await self.members.refresh()

    async def member(self, name: str) -> Member:
        endpoint = self.shards[name].endpoint
        async with closing_transport(self._connect.to(Member(NOBODY, endpoint))) as transport:
            return Member(await identified(transport), endpoint)

    @asynccontextmanager
    async def called(self, name: str) -> AsyncIterator[Transport]:
        """A caller of a shard, who does not ask the directory."""
        async with closing_transport(self._connect.to(await self.member(name))) as transport:
            await identified(transport)
            yield transport

    def maintain(self, crash_at: str = "") -> Managed:
        """A candidate for every role, which may not be ready yet."""
        port = free_port()
        settings = {**QUICK, "METRICS_PORT": str(port), "ARGOSY_CRASH_AT": crash_at}
        return self.fleet.start_process("maintain", ["maintain"], port, settings)

    async def argosy(self, *words: str) -> tuple[int, str]:
        """One command to its end."""
        return await asyncio.to_thread(lambda: self.fleet.run(*words))

    async def graphs_of(self, name: str) -> int:
        """How many graphs the directory has on a shard."""
        endpoint = self.shards[name].endpoint
        counted = {each.shard.endpoint: each.graphs for each in await self.directory.count()}
        return counted.get(endpoint, 0)

    async def ask_move(self, graph: str, to: str) -> uuid.UUID:
        endpoint = self.shards[to].endpoint
        shard = next(each for each in await self.directory.shards() if each.endpoint == endpoint)
        move_id, _ = await self.changes.move(GraphName(TENANT, graph), shard.member_id)
        return move_id

    async def moves(self) -> list[Move]:
        return await list_moves(self.pool, 10_000)

    async def until_settled(self, within_s: float = 60) -> None:
        """Return when no plan and no move is open."""
        query = """SELECT (SELECT count(*) FROM graph_moves WHERE ended_at IS NULL)
                        + (SELECT count(*) FROM shard_plans WHERE ended_at IS NULL)"""
        until_s = time.monotonic() + within_s
        while left := await self.pool.fetchval(query):
            assert time.monotonic() < until_s, (left, (await self.moves())[:5])
            await asyncio.sleep(0.1)

    async def files(self, name: str) -> list[Any]:
        """The graphs that a shard serves or has served, as it says itself."""
        async with self.called(name) as transport:
            return [(listed.graph, stats.state) for listed, stats in await transport.list(deadline_s=10)]

    async def close(self) -> None:
        await self.members.close()
        for shard in self.shards.values():
            await asyncio.to_thread(shard.bury)


async def identified(transport: Transport, within_s: float = 10) -> uuid.UUID:
    """Ask a shard that runs who it is. gRPC remembers for a moment that one at this address did not."""
    until_s = time.monotonic() + within_s
    while True:
        try:
            return await transport.identify(deadline_s=5)
        except ShardUnavailableError:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.1)


@asynccontextmanager
async def closing_transport(transport: Transport) -> AsyncIterator[Transport]:
    try:
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def opened(fleet: Fleet, folder: Path) -> AsyncIterator[Moving]:
    settings = config.load(CALLERS)
    secret = fleet.environment["GRAPH_SERVICE_AUTH_SECRET"]
    connect = GrpcConnect(load_keys(secret, folder).shards, SystemClock(), settings)
    pool = Pool(fleet.environment["STATE_DB_URI"], 4, 30.0)
    moving = Moving(fleet, folder, pool, connect, settings)
    watching = asyncio.create_task(moving.members.watch())
    try:
        yield moving
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await moving.close()
        await pool.close()
