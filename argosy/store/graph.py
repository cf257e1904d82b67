"""The directory of graphs: the shards, and which graph is on which of them. Every graph is looked up with its tenant.

Each write is one statement that may be sent again, by whoever meets the row.
Raises: StoreUnavailableError
"""

import builtins
import uuid
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from argosy.graph.facts import GraphRef, Member
from argosy.seal.codec import Codec
from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("graph")


class ShardState(StrEnum):
    ACTIVE = "active"
    DRAINING = "draining"  # it gets no new graphs


class ShardRow(NamedTuple):
    """A member."""

    member_id: uuid.UUID
    endpoint: str
    state: ShardState
    added_at: datetime

    @property
    def member(self) -> Member:
        return Member(self.member_id, self.endpoint)


class ShardCounted(NamedTuple):
    """A member with the number of its graphs."""

    shard: ShardRow
    graphs: int


class GraphRowState(StrEnum):
    """How far the directory is with a graph."""

    CREATING = "creating"
    RESTORING = "restoring"
    ACTIVE = "active"
    DROPPING = "dropping"


class GraphRow(NamedTuple):
    """What the directory has of a graph. shard: the id of its member. session_id: of the session that it goes with.
    sealed_as: what the values of its props are bound to (argosy/graph/sealing.py); None: it is not sealed. is_moving:
    it is on its way between two shards, which may both refuse it for moments; only `find` says so.
    """

    tenant: str
    graph: str
    incarnation: uuid.UUID
    shard: uuid.UUID
    generation: int
    state: GraphRowState
    session_id: uuid.UUID | None
    expires_at: datetime | None
    created_at: datetime
    sealed_as: uuid.UUID | None = None
    is_moving: bool = False

    @property
    def ref(self) -> GraphRef:
        return GraphRef(self.tenant, self.graph, self.incarnation, self.generation, sealed_as=self.sealed_as)

    @property
    def is_sealed(self) -> bool:
        return self.sealed_as is not None


class NewGraph(NamedTuple):
    """A graph that is to be made. ttl_s: None: it stays. sealed_as: None: it is not sealed."""

    tenant: str
    graph: str
    incarnation: uuid.UUID
    shard: uuid.UUID
    state: GraphRowState
    session_id: uuid.UUID | None
    ttl_s: float | None
    sealed_as: uuid.UUID | None = None


class Directory:
    """The rows of shards and graphs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def seals(self) -> Codec:
        """What seals and opens what tenants store, with keys of the same database."""
        return self._pool.seals

    async def shards(self) -> list[ShardRow]:
        return [_shard(row) for row in await self._pool.fetch(_SQL["list_shards"])]

    async def count(self) -> list[ShardCounted]:
        return [ShardCounted(_shard(row[:4]), row[4]) for row in await self._pool.fetch(_SQL["count_graphs"])]

    async def seed(self, members: Sequence[Member]) -> bool:
        """Make these the members if there are none; whether that was done."""
        ids, endpoints = zip(*members, strict=True)
        return bool(await self._pool.fetchval(_SQL["seed_shards"], ids, endpoints))

    async def move_shard(self, member: Member) -> None:
        """Note that a member has this endpoint now."""
        await self._pool.execute(_SQL["move_shard"], *member)

    async def find(self, tenant: str, graph: str) -> GraphRow | None:
        return _row(await self._pool.fetchrow(_SQL["find_graph"], tenant, graph))

    async def orphaned(
        self, shard: uuid.UUID, refs: Sequence[GraphRef]
    ) -> builtins.list[tuple[GraphRef, uuid.UUID | None]]:
        """Return those of these graphs, which a shard has, that nobody asks for there, each with the shard that has it
        in a later generation; None: no row has this incarnation, whatever its state.
        """
        tenants, graphs, lives, generations = (
            zip(*(ref.life for ref in refs), strict=True) if refs else ((), (), (), ())
        )
        rows = await self._pool.fetch(_SQL["list_orphaned"], tenants, graphs, lives, generations, shard)
        return [(refs[number - 1], moved_to) for number, moved_to in rows]

    async def left_behind(self, row: GraphRow) -> builtins.list[GraphRef]:
        """Return what moves of earlier lives of the name have yet to drop at the shard of the row. Those lives are
        over, whatever becomes of the row.
        """
        return [GraphRef(*each) for each in await self._pool.fetch(_SQL["list_left"], *row[:3])]

    async def list(self, tenant: str, after: str, limit: int) -> builtins.list[GraphRow]:
        """Return at most `limit` graphs of a tenant after a name, in the order of the bytes of their names."""
        return _rows(await self._pool.fetch(_SQL["list_graphs"], tenant, after, limit))

    async def add(self, new: NewGraph) -> GraphRow | None:
        """Write a new graph's row; None when the name has one already, or the shard takes no new graphs."""
        return _row(await self._pool.fetchrow(_SQL["add_graph"], *new))

    async def activate(self, row: GraphRow) -> GraphRow | None:
        """Note that the shard has the graph; None when it was dropped meanwhile."""
        return _row(await self._pool.fetchrow(_SQL["activate_graph"], *row[:3]))

    async def extend(self, row: GraphRow, session_id: uuid.UUID | None, ttl_s: float | None) -> GraphRow | None:
        """Let the graph live for ttl_s from now on, or nearly so; None when nothing was to be changed.

        session_id: of the session whose own graph it is: then it goes with that from now on, and lives as long as this
        says (ttl_s: None: for ever). None: one that does not expire is left alone.
        """
        return _row(await self._pool.fetchrow(_SQL["extend_graph"], *row[:3], session_id, ttl_s))

    async def mark_dropped(self, tenant: str, graph: str, incarnation: uuid.UUID | None = None) -> GraphRow | None:
        """Let nobody find the graph; return its row if there is one, also when it was marked before. incarnation: only
        if it is this one.
        """
        return _row(await self._pool.fetchrow(_SQL["mark_dropped"], tenant, graph, incarnation))

    async def delete(self, row: GraphRow) -> None:
        """Forget a graph that is marked as dropped and that its shard has no more."""
        await self._pool.execute(_SQL["delete_graph"], *row[:3])

    async def dropped(self, after: uuid.UUID, limit: int) -> builtins.list[GraphRow]:
        """Return at most `limit` graphs that are marked as dropped, after an incarnation, in their order."""
        return _rows(await self._pool.fetch(_SQL["list_dropped"], after, limit))

    async def expire(self, role: str, term: int, limit: int) -> int:
        """Mark at most `limit` graphs whose time is over as dropped; how many. Raises OwnershipLostError."""
        return int(await write_as(self._pool, _SQL["expire_graphs"], role, term, limit))


def _shard(row: Sequence[object]) -> ShardRow:
    made = ShardRow._make(row)
    return made._replace(state=ShardState(made.state))


def _row(row: Sequence[Any] | None) -> GraphRow | None:
    return None if row is None else _rows([row])[0]


def _rows(rows: Sequence[Sequence[Any]]) -> list[GraphRow]:
    made = [GraphRow(*row) for row in rows]
    return [each._replace(state=GraphRowState(each.state)) for each in made]
