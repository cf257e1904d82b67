"""GET /v1/fleet/shards, …/moves: where graphs are, and which of them come and go. For operators."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.gateway.access import GuardedRoute, needs_anywhere
from argosy.gateway.openapi import answers
from argosy.gateway.parameters import Limit, page_size, strict
from argosy.gateway.routes.turns import json_response
from argosy.gateway.state import state_of
from argosy.graph.graphs import Graphs
from argosy.identity.scopes import Scope
from argosy.store.graph import Directory, ShardCounted, ShardState
from argosy.store.move import (
    Move,
    MovesOfShard,
    MoveState,
    Plan,
    PlanKind,
    PlanState,
    list_moves,
    list_plans,
    moves_of_shards,
    reason_of,
)

router: Final = APIRouter(prefix="/v1", tags=["fleet"], dependencies=[strict], route_class=GuardedRoute)


class FleetShard(msgspec.Struct, kw_only=True):
    """A shard. graphs: those that it has; coming, going: open moves to it, and away from it. is_up: whether it answered
    when this gateway asked it last; null: it has not asked it yet. reason: why it did not, or what its drain or one of
    these moves waits for; empty: nothing.
    """

    member_id: uuid.UUID
    endpoint: str
    state: ShardState
    graphs: int
    coming: int
    going: int
    is_up: bool | None
    reason: str
    added_at: datetime


class FleetPlan(msgspec.Struct, kw_only=True):
    """Which graphs are to move. planned: moves that it has led to; open: those that have not ended. blocked: why it
    cannot go on now; empty while it can.
    """

    plan_id: uuid.UUID
    kind: PlanKind
    shard: uuid.UUID | None
    state: PlanState
    planned: int
    open: int
    blocked: str
    asked_at: datetime


class FleetShardList(msgspec.Struct, kw_only=True):
    """All shards, and the plans that are open."""

    shards: list[FleetShard]
    plans: list[FleetPlan]


class FleetMove(msgspec.Struct, kw_only=True):
    """A move of a graph from one shard to another. reason: why it was put off or given up. stalled_s: for how long the
    graph took no writes.
    """

    move_id: uuid.UUID
    plan_id: uuid.UUID | None
    tenant: str
    graph: str
    source: uuid.UUID
    target: uuid.UUID
    state: MoveState
    reason: str
    tries: int
    size_bytes: int
    copied_bytes: int
    planned_at: datetime
    ended_at: datetime | None
    stalled_s: float | None


class FleetMoveList(msgspec.Struct, kw_only=True):
    """Open moves, the oldest first, then those that ended last: a page of each."""

    moves: list[FleetMove]


@router.get("/fleet/shards", responses=answers("FleetShardList", 403))
@needs_anywhere(Scope.FLEET_READ, minds_limits=True)
async def get_shards(request: Request) -> Response:
    """Every shard with its graphs, and what is planned to move. For operators."""
    state = state_of(request)
    counted, moves, plans = await asyncio.gather(
        Directory(state.pool).count(), moves_of_shards(state.pool), list_plans(state.pool)
    )
    none = MovesOfShard(0, 0)
    shards = [_shown(each, moves.get(each.shard.member_id, none), plans, state.graphs) for each in counted]
    return json_response(FleetShardList(shards=shards, plans=[_shown_plan(each) for each in plans]))


@router.get("/fleet/moves", responses=answers("FleetMoveList", 403))
@needs_anywhere(Scope.FLEET_READ, minds_limits=True)
async def get_moves(request: Request, limit: Limit = None) -> Response:
    """Moves of graphs between shards. For operators."""
    state = state_of(request)
    rows = await list_moves(state.pool, page_size(limit, state.settings.page_size_max))
    return json_response(FleetMoveList(moves=[_shown_move(each) for each in rows]))


def _shown(counted: ShardCounted, moves: MovesOfShard, plans: Sequence[Plan], graphs: Graphs) -> FleetShard:
    shard = counted.shard
    return FleetShard(
        member_id=shard.member_id,
        endpoint=shard.endpoint,
        state=shard.state,
        graphs=counted.graphs,
        coming=moves.coming,
        going=moves.going,
        is_up=graphs.is_shard_up(shard.member_id),
        reason=reason_of(shard.member_id, graphs.why_not(shard.member_id), moves, plans),
        added_at=shard.added_at,
    )


def _shown_plan(plan: Plan) -> FleetPlan:
    return FleetPlan(
        plan_id=plan.plan_id,
        kind=plan.kind,
        shard=plan.shard,
        state=plan.state,
        planned=plan.planned,
        open=plan.moves,
        blocked=plan.blocked,
        asked_at=plan.asked_at,
    )


def _shown_move(move: Move) -> FleetMove:
    facts = move._asdict()
    return FleetMove(**{name: facts[name] for name in FleetMove.__struct_fields__})
