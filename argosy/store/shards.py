"""Changes of the members and of what is on them, as operators ask for them; the role rebalance does what they ask for.

Raises: StoreUnavailableError
"""

import uuid
from enum import StrEnum
from typing import Final, NamedTuple

from argosy.graph.facts import GraphName, Member
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("shards")


class Added(StrEnum):
    """What came of adding a member."""

    ADDED = "added"
    KNOWN = "known"  # it is one already
    TAKEN = "taken"  # another one answers at this endpoint


class Removal(StrEnum):
    REMOVED = "removed"
    HOLDS = "holds"  # it has graphs, or moves to or from it are open
    LAST = "last"  # no other member takes graphs
    UNKNOWN = "unknown"


class Removed(NamedTuple):
    """What came of removing a member, and how many graphs and open moves name it."""

    outcome: Removal
    graphs: int
    moves: int


class Asked(StrEnum):
    """What came of asking for one move."""

    PLANNED = "planned"
    UNKNOWN = "unknown"  # there is no such graph, or it is being made or dropped
    HERE = "here"  # it is there already
    MOVING = "moving"  # another move of it is open
    SHUT = "shut"  # there is no such member, or it takes no graphs


class ShardChanges:
    """What operators change: each call is one statement, and may be made again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, member: Member) -> Added:
        return Added(await self._pool.fetchval(_SQL["add_shard"], *member))

    async def drain(self, member_id: uuid.UUID) -> uuid.UUID | None:
        """Let a member get no new graphs and all that it has move away. Return the plan; None when there is no such
        member, or no other one takes graphs.
        """
        plan: uuid.UUID | None = await self._pool.fetchval(_SQL["drain_shard"], member_id, uuid.uuid4())
        return plan

    async def undrain(self, member_id: uuid.UUID) -> bool:
        """Let a member take graphs again; whether there is such a member."""
        return bool(await self._pool.fetchval(_SQL["undrain_shard"], member_id))

    async def remove(self, member_id: uuid.UUID) -> Removed:
        outcome, graphs, moves = await self._pool.fetchrow(_SQL["remove_shard"], member_id)
        return Removed(Removal(outcome), graphs, moves)

    async def rebalance(self) -> uuid.UUID:
        """Let graphs come to where they belong. Return the plan."""
        plan: uuid.UUID = await self._pool.fetchval(_SQL["ask_rebalance"], uuid.uuid4())
        return plan

    async def move(self, name: GraphName, target: uuid.UUID) -> tuple[uuid.UUID, Asked]:
        """Ask for the move of one graph. Return its id, and what came of asking."""
        move_id = uuid.uuid4()
        return move_id, Asked(await self._pool.fetchval(_SQL["move_graph"], move_id, *name, target))

    async def cancel(self, asked_id: uuid.UUID) -> int | None:
        """End a plan, or one move; how many moves give up what they do. None: there is none of this id."""
        if not await self._pool.fetchval(_SQL["is_known"], asked_id):
            return None
        return int(await self._pool.fetchval(_SQL["cancel_moves"], asked_id))
