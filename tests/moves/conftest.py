"""Leaders of the role rebalance over shards in memory, which fail when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from argosy import config, crash_points
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.graph.facts import GraphName, Member
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.store.graph import Directory, GraphRow
from argosy.store.move import Move, MoveState, list_moves, list_plans
from argosy.store.pool import Pool
from argosy.store.shards import Asked, ShardChanges
from argosy.workers.maintenance.rebalance import Rebalance
from argosy.workers.maintenance.role import Ticked
from tests.graph.conftest import *  # noqa: F403
from tests.graph.memory_shards import File, MemoryShards
from tests.maintenance.term import term_of


class Led:
    """A leader with its term."""

    def __init__(self, role: Rebalance, term: int, members: Members) -> None:
        self.role = role
        self.term = term
        self.members = members

    async def tick(self) -> Ticked:
        """Do all that can be done now."""
        return await self.role.tick(self.term)

    async def tick_until(self, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin a tick, and be killed at this crash point."""
        ticking = asyncio.create_task(self.tick())

        def reach(reached: str) -> None:
            if reached == point:
                ticking.cancel()
                raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(crash_points, "reach", reach)
            await asyncio.gather(ticking, return_exceptions=True)
            await self.role.close()
        assert ticking.cancelled(), f"{point} was not reached"


class Fleet:
    """Shards, the directory, and one leader at a time."""

    def __init__(self, dsn: str, pool: Pool, shards: MemoryShards, settings: Settings) -> None:
        self.dsn = dsn
        self.pool = pool
        self.shards = shards
        self.settings = settings
        self.directory = Directory(pool)
        self.changes = ShardChanges(pool)
        self._opened: list[Members] = []
        self._led: list[Led] = []

    async def leader(self) -> "Led":
        """Whoever leads from now on."""
        members = await self._members()
        role = Rebalance(self.settings, self.pool, self.directory, members, SystemClock(), share_s=1.0)
        self._led.append(Led(role, await term_of(self.dsn, role.name), members))
        return self._led[-1]

    async def gateway(self) -> Graphs:
        return (await self.gateway_and_members())[0]

    async def gateway_and_members(self) -> tuple[Graphs, Members]:
        members = await self._members()
        return Graphs(self.directory, members, self.settings, SystemClock()), members

    async def graph_on(self, endpoint: str, *ids: str) -> GraphRow:
        """A new graph on this shard, with nodes."""
        graphs = await self.gateway()
        for number in range(1_000):
            row = await graphs.create("acme", f"graph-{number}")
            if self.shards.endpoint_of(row.shard) == endpoint:
                await graphs.of("acme", row.graph).apply([UpsertNode(id=each, label="Any") for each in ids])
                return row
        raise AssertionError(endpoint)

    async def ask_move(self, row: GraphRow, endpoint: str) -> None:
        self.first_move_id, asked = await self.changes.move(
            GraphName(row.tenant, row.graph), self.member(endpoint).member_id
        )
        assert asked is Asked.PLANNED

    def member(self, endpoint: str) -> Member:
        return next(each for each in self.shards.members if each.endpoint == endpoint)

    def files(self, row: GraphRow) -> dict[str, File]:
        """Where the graph has a file."""
        name = GraphName(row.tenant, row.graph)
        folders = self.shards.folders.items()
        return {endpoint: folder.files[name] for endpoint, folder in folders if name in folder.files}

    async def row(self, row: GraphRow) -> GraphRow:
        found = await self.directory.find(row.tenant, row.graph)
        assert found is not None
        return found

    async def moves(self) -> list[Move]:
        return await list_moves(self.pool, 1_000)

    async def states(self) -> list[MoveState]:
        return [each.state for each in await self.moves()]

    async def until_called(self, method: str) -> None:
        async with asyncio.timeout(10):
            while not self.shards.called(method):  # noqa: ASYNC110 (they tell nobody)
                await asyncio.sleep(0.001)

    async def settle(self, leader: Led) -> None:
        """Let a leader do all that is planned, and what it leads to."""
        async with asyncio.timeout(30):
            while True:
                await self.make_due()
                await leader.tick()
                if all(each.ended_at is not None for each in await self.moves()) and not await list_plans(self.pool):
                    return

    async def make_due(self) -> None:
        """Let the time pass for which moves and plans wait."""
        await self.pool.execute("UPDATE graph_moves SET not_before = now()")
        await self.pool.execute("UPDATE shard_plans SET not_before = now()")

    async def close(self) -> None:
        await asyncio.gather(*(led.role.close() for led in self._led))
        await asyncio.gather(*(each.close() for each in self._opened))

    async def _members(self) -> Members:
        members = Members(self.directory, self.shards, self.settings, SystemClock())
        self._opened.append(members)
        await members.refresh()
        return members


@pytest.fixture
def move_settings() -> Settings:
    """Breakers stay closed: behind an open one, nothing would happen."""
    times = {"GRAPH_TIMEOUT_S": "5", "GRAPH_WATCH_S": "2", "GRAPH_CACHE_S": "60", "REBALANCE_SEAL_S": "0.5"}
    return config.load({**times, "ENGINE_BREAKER_THRESHOLD": "0"})


@pytest.fixture
async def fleet(graph_dsn: str, shards: MemoryShards, move_settings: Settings) -> AsyncIterator[Fleet]:
    pool = Pool(graph_dsn, 4, 30.0)
    fleet = Fleet(graph_dsn, pool, shards, move_settings)
    yield fleet
    await fleet.close()
    await pool.close()


def ids_of(file: File) -> Sequence[str]:
    return sorted(file.nodes)
