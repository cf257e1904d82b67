"""Moves of graphs between shards, and the plans that they belong to: functions/move.sql has the rules.

Raises: StoreUnavailableError, and OwnershipLostError when a leader's term is over: nothing was written.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from argosy.graph.facts import GraphName, GraphRef
from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("move")


class MoveState(StrEnum):
    """How far a move is: argosy/workers/maintenance/move.py says what is true in each."""

    PLANNED = "planned"
    COPYING = "copying"
    SEALED = "sealed"
    LANDED = "landed"
    RETIRED = "retired"
    SWITCHED = "switched"
    ACTIVATED = "activated"
    ABORTING = "aborting"
    DONE = "done"
    ABORTED = "aborted"


# Of those that are open:
STALLED: Final = frozenset(
    {MoveState.SEALED, MoveState.LANDED, MoveState.RETIRED, MoveState.SWITCHED, MoveState.ABORTING}
)  # the graph takes no writes, for moments
SERVED: Final = frozenset({MoveState.PLANNED, MoveState.ACTIVATED})  # the graph is as its row says
CANCELLABLE: Final = frozenset({MoveState.PLANNED, MoveState.COPYING})
REVERSIBLE: Final = frozenset({*CANCELLABLE, MoveState.SEALED, MoveState.LANDED, MoveState.RETIRED})


class Move(NamedTuple):
    """A move. generation: of the graph before it. sealed_s: for how long the graph has taken no writes; None: it does.
    The rest is as in the table (migrations).
    """

    move_id: uuid.UUID
    plan_id: uuid.UUID | None
    tenant: str
    graph: str
    incarnation: uuid.UUID
    source: uuid.UUID
    target: uuid.UUID
    generation: int
    state: MoveState
    base_sha256: bytes
    reason: str
    tries: int
    size_bytes: int
    copied_bytes: int
    planned_at: datetime
    ended_at: datetime | None
    stalled_s: float | None
    sealed_s: float | None

    @property
    def ref(self) -> GraphRef:
        """The graph as it is before the move."""
        return GraphRef(self.tenant, self.graph, self.incarnation, self.generation)


class MovesCounted(NamedTuple):
    """Open moves of a state. sealed_s: of the one that has been sealed for longest; None: none is."""

    state: MoveState
    moves: int
    sealed_s: float | None


class MovesOfShard(NamedTuple):
    """How many open moves lead to a shard, and away from it. waits_for: what one of them waits for; empty: nothing."""

    coming: int
    going: int
    waits_for: str = ""


class PlanKind(StrEnum):
    REBALANCE = "rebalance"
    DRAIN = "drain"


class PlanState(StrEnum):
    PLANNING = "planning"  # it has graphs to look at
    MOVING = "moving"  # its moves are under way
    DONE = "done"
    CANCELLED = "cancelled"


class Plan(NamedTuple):
    """An open plan. after: the graph that was looked at last. moves: how many of its moves are open."""

    plan_id: uuid.UUID
    kind: PlanKind
    shard: uuid.UUID | None
    state: PlanState
    after: GraphName
    planned: int
    blocked: str
    asked_at: datetime
    moves: int


class Placed(NamedTuple):
    """An active graph, and where it is."""

    tenant: str
    graph: str
    incarnation: uuid.UUID
    shard: uuid.UUID
    generation: int


class Planned(NamedTuple):
    """A graph that is to move."""

    placed: Placed
    target: uuid.UUID


def reason_of(shard: uuid.UUID, fault: str, moves: MovesOfShard, plans: Iterable[Plan]) -> str:
    """Return why a shard does not answer (fault), or else what its drain or a move to or from it waits for."""
    blocked = next((each.blocked for each in plans if each.shard == shard), "")
    return fault or blocked or moves.waits_for


async def list_moves(pool: Pool, limit: int) -> list[Move]:
    """Return open moves, the oldest first, and then those that ended last: at most `limit` of each."""
    return [_move(row) for row in await pool.fetch(_SQL["list_moves"], limit)]


async def count_moves(pool: Pool) -> list[MovesCounted]:
    return [MovesCounted(MoveState(row[0]), *row[1:]) for row in await pool.fetch(_SQL["count_open"])]


async def moves_of_shards(pool: Pool) -> dict[uuid.UUID, MovesOfShard]:
    """Return how many open moves lead to a shard and away from it, of those with any."""
    coming, going = Counter[uuid.UUID](), Counter[uuid.UUID]()
    waits_for: dict[uuid.UUID, str] = {}
    for source, target, moves, why in await pool.fetch(_SQL["count_between"]):
        coming[target] += moves
        going[source] += moves
        for each in (source, target):
            waits_for[each] = waits_for.get(each) or why
    return {each: MovesOfShard(coming[each], going[each], waits_for[each]) for each in coming | going}


async def list_plans(pool: Pool) -> list[Plan]:
    """Return the open plans, the oldest first."""
    return [_plan(row) for row in await pool.fetch(_SQL["list_plans"])]


async def list_placed(pool: Pool, after: GraphName, shard: uuid.UUID | None, limit: int) -> list[Placed]:
    """Return at most `limit` active graphs after a name, in the order of names. shard: of this one only."""
    return [Placed(*row) for row in await pool.fetch(_SQL["list_placed"], *after, shard, limit)]


class Moves:
    """What a leader reads and writes, under its term."""

    def __init__(self, pool: Pool, role: str, term: int) -> None:
        self._pool = pool
        self._role = role
        self.term = term

    async def due(self, but: Sequence[uuid.UUID], limit: int) -> list[Move]:
        """Return at most `limit` open moves whose time has come, but for some: first those whose graphs wait."""
        return [_move(row) for row in await self._pool.fetch(_SQL["list_due"], but, limit)]

    async def find(self, move_id: uuid.UUID) -> Move | None:
        row = await self._pool.fetchrow(_SQL["find_move"], move_id)
        return None if row is None else _move(row)

    async def dirty(self, limit: int) -> list[Move]:
        """Return moves that were given up while their target was away."""
        return [_move(row) for row in await self._pool.fetch(_SQL["list_dirty"], limit)]

    async def due_plans(self) -> list[Plan]:
        return [_plan(row) for row in await self._pool.fetch(_SQL["list_due_plans"])]

    async def plan(self, plan: Plan, graphs: Sequence[Planned], after: GraphName, *, is_last: bool) -> int:
        """Plan these moves, and note up to where the plan has looked; how many were planned."""
        placed = zip(*(each.placed for each in graphs), strict=True) if graphs else ((), (), (), (), ())
        tenants, names, incarnations, sources, generations = placed
        ids, targets = [uuid.uuid4() for _ in graphs], [each.target for each in graphs]
        arguments = (plan.plan_id, ids, tenants, names, incarnations, sources, targets, generations, *after, is_last)
        return int(await self._write("plan_moves", *arguments))

    async def block(self, plan: Plan, why: str, after_s: float) -> None:
        await self._write("block_plan", plan.plan_id, why, after_s)

    async def settle_plans(self, after_s: float) -> int:
        """End plans whose moves have ended; a shard that drains is looked at again after that time."""
        return int(await self._write("settle_plans", after_s))

    async def note_copied(self, move: Move, copied_bytes: int, size_bytes: int) -> bool:
        """Note how much was copied; whether the copy is still wanted."""
        return bool(await self._write("note_copied", move.move_id, copied_bytes, size_bytes))

    async def step(self, move: Move, to: MoveState, *, reason: str = "", base_sha256: bytes = b"") -> bool:
        """Write down a step that was taken; whether the move was where it was thought to be."""
        return bool(await self._write("step_move", move.move_id, move.state, to, reason, base_sha256))

    async def switch(self, move: Move) -> bool:
        """Give the graph to the target; whether it has it now."""
        return bool(await self._write("switch_move", move.move_id))

    async def abort(self, move: Move, *, is_target_dirty: bool, again_s: float | None) -> bool:
        """Leave the graph where it is; whether the move has ended so. again_s: it is planned anew, for then."""
        arguments = (move.move_id, is_target_dirty, uuid.uuid4(), again_s)
        return bool(await self._write("abort_move", *arguments))

    async def forgo(self, move: Move, reason: str) -> bool:
        return bool(await self._write("forgo_move", move.move_id, reason))

    async def put_off(self, move: Move, after_s: float, reason: str) -> None:
        await self._write("put_off_move", move.move_id, after_s, reason)

    async def note_clean(self, move: Move, *, is_clean: bool, after_s: float) -> None:
        await self._write("note_clean", move.move_id, is_clean, after_s)

    async def purge(self, age_s: float, limit: int) -> int:
        """Forget what ended long ago; how many rows."""
        return int(await self._write("purge_moves", age_s, limit))

    async def _write(self, name: str, *arguments: Any) -> Any:
        return await write_as(self._pool, _SQL[name], self._role, self.term, *arguments)


def _move(row: Sequence[Any]) -> Move:
    made = Move._make(row)
    return made._replace(state=MoveState(made.state))


def _plan(row: Sequence[Any]) -> Plan:
    plan_id, kind, shard, state, tenant, graph, *rest = row
    return Plan(plan_id, PlanKind(kind), shard, PlanState(state), GraphName(tenant, graph), *rest)
