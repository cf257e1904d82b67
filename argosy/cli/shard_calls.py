"""What the commands about shards ask and change, directly: the directory in Postgres, and the shards over gRPC.

What is asked for is a row: the role rebalance of `argosy maintain` does it. Raises SettingError when it cannot be.
"""

import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from argosy.cli.graph_calls import Opened, Shown
from argosy.clock import Clock, SystemClock
from argosy.errors import SettingError
from argosy.graph.facts import GraphName
from argosy.graph.orphans import Orphan, Orphans
from argosy.store.graph import ShardCounted, ShardRow
from argosy.store.leader import list_leaders
from argosy.store.move import (
    Move,
    MovesOfShard,
    MoveState,
    Plan,
    list_moves,
    list_placed,
    list_plans,
    moves_of_shards,
    reason_of,
)
from argosy.store.shards import Added, Asked, Removal, ShardChanges

_ANSWER_S: Final = 10.0  # for a shard that was started just now
_LOOK_S: Final = 1.0  # how often it is looked whether a plan is done
_PAGE: Final = 5_000
_REFUSED: Final[Mapping[Asked, str]] = {
    Asked.UNKNOWN: "there is no such graph, or it is being made or dropped",
    Asked.HERE: "it is there already",
    Asked.MOVING: "it moves already: `argosy shards moves`",
    Asked.SHUT: "that shard is drained: it takes no graphs",
}


async def shards(opened: Opened) -> list[Shown]:
    await opened.members.refresh()
    await opened.members.look()
    if opened.graphs.are_guarded:
        await opened.members.check_lists()
    moves, plans = await moves_of_shards(opened.pool), await list_plans(opened.pool)
    counted = await opened.directory.count()
    return [
        await _shown_shard(opened, each, moves.get(each.shard.member_id, MovesOfShard(0, 0)), plans) for each in counted
    ]


async def moves(opened: Opened, limit: int) -> Shown:
    """Return the open plans, the open moves, and those that ended last."""
    return {
        "plans": [_shown_plan(each) for each in await list_plans(opened.pool)],
        "moves": [_shown_move(each) for each in await list_moves(opened.pool, limit)],
    }


async def add(opened: Opened, endpoint: str) -> Shown:
    """Make the shard at an endpoint a member."""
    found = await opened.seed.find_one(endpoint, _ANSWER_S)
    known = {row.member_id: row for row in await opened.directory.shards()}
    if found.has_graphs and found.member.member_id not in known:
        raise SettingError(
            f"the shard at {endpoint} has graphs of which this database knows nothing: a new member begins with an "
            "empty folder"
        )
    added = await ShardChanges(opened.pool).add(found.member)
    if added is Added.TAKEN:
        raise SettingError(f"another member answers at {endpoint}: `argosy shards list`")
    return {"member_id": str(found.member.member_id), "endpoint": endpoint, "added": added is Added.ADDED}


async def remove(opened: Opened, shard: str) -> Shown:
    row = await _row_of(opened, shard)
    removed = await ShardChanges(opened.pool).remove(row.member_id)
    if removed.outcome is Removal.HOLDS:
        has = f"{removed.graphs} graphs" if removed.graphs else f"{removed.moves} moves to it or from it are open"
        raise SettingError(f"{row.endpoint} has {has}: `argosy shards drain {row.endpoint}` empties it")
    if removed.outcome is Removal.LAST:
        raise SettingError(f"{row.endpoint} is the last shard that takes graphs: add another one before")
    return {"removed": str(row.member_id), "endpoint": row.endpoint}


async def drain(opened: Opened, shard: str) -> Shown:
    row = await _row_of(opened, shard)
    plan = await ShardChanges(opened.pool).drain(row.member_id)
    if plan is None:
        raise SettingError(f"there is nowhere to go: no shard but {row.endpoint} takes graphs. Add one before")
    return {"plan": str(plan), "shard": str(row.member_id), "endpoint": row.endpoint}


async def undrain(opened: Opened, shard: str) -> Shown:
    row = await _row_of(opened, shard)
    await ShardChanges(opened.pool).undrain(row.member_id)
    return {"shard": str(row.member_id), "endpoint": row.endpoint}


async def move(opened: Opened, name: GraphName, shard: str) -> Shown:
    row = await _row_of(opened, shard)
    move_id, asked = await ShardChanges(opened.pool).move(name, row.member_id)
    if asked is not Asked.PLANNED:
        raise SettingError(f"graph {name.graph!r} of tenant {name.tenant!r} to {row.endpoint}: {_REFUSED[asked]}")
    return {"move": str(move_id), "to": row.endpoint}


async def rebalance(opened: Opened) -> Shown:
    return {"plan": str(await ShardChanges(opened.pool).rebalance())}


async def would_move(opened: Opened) -> Shown:
    """Return how many graphs a rebalance would move, and to which shards."""
    from argosy.workers.maintenance.plan import to_move

    await opened.members.refresh()
    endpoints = {each.member_id: each.endpoint for each in opened.members.all}
    graphs, to, after = 0, Counter[str](), GraphName("", "")
    while page := await list_placed(opened.pool, after, None, _PAGE):
        graphs += len(page)
        to.update(endpoints[each.target] for each in to_move(page, opened.members.active))
        after = GraphName(*page[-1][:2])
    return {"graphs": graphs, "would_move": to.total(), "to": dict(to)}


async def cancel(opened: Opened, asked_id: uuid.UUID) -> Shown:
    cancelled = await ShardChanges(opened.pool).cancel(asked_id)
    if cancelled is None:
        raise SettingError(f"there is no open plan or move {asked_id}")
    return {"cancelled": str(asked_id), "moves": cancelled}


async def wait(opened: Opened, plan_or_move: uuid.UUID, clock: Clock) -> bool:
    """Wait until a plan or a move has ended, and say on stderr how far it is; whether a move came to its end."""
    said = ""
    while True:
        plan = next((each for each in await list_plans(opened.pool) if each.plan_id == plan_or_move), None)
        found = next((each for each in await list_moves(opened.pool, _PAGE) if each.move_id == plan_or_move), None)
        if plan is not None:
            saying = _progress_of_plan(plan)
        elif found is not None and found.ended_at is None:
            saying = f"{found.state}: {found.copied_bytes} of {found.size_bytes} bytes; {found.reason}"
        else:
            return found is None or found.state is MoveState.DONE
        saying += await _nobody(opened)
        if saying != said:
            said = saying
            sys.stderr.write(f"{said}\n")
        await clock.sleep(_LOOK_S)


async def orphans(opened: Opened) -> list[Orphan]:
    return await _orphans(opened).find()


async def drop_orphans(opened: Opened, found: Sequence[Orphan]) -> int:
    """Drop these orphans; how many are gone."""
    return len([gone async for gone in _orphans(opened).drop(found)])


def shown_orphan(orphan: Orphan) -> Shown:
    return {
        "tenant": orphan.ref.tenant,
        "graph": orphan.ref.graph,
        "shard": str(orphan.shard.member_id),
        "endpoint": orphan.shard.endpoint,
        "incarnation": str(orphan.ref.incarnation),
        "generation": orphan.ref.generation,
        "moved_to": orphan.moved_to,
        "nodes": orphan.stats.node_count,
        "edges": orphan.stats.edge_count,
        "size_bytes": orphan.stats.size_bytes,
    }


def _orphans(opened: Opened) -> Orphans:
    return Orphans(opened.directory, opened.listed, SystemClock())


def _progress_of_plan(plan: Plan) -> str:
    blocked = f"; {plan.blocked}" if plan.blocked else ""
    return f"{plan.kind}: {plan.planned} moves planned, {plan.moves} open{blocked}"


async def _nobody(opened: Opened) -> str:
    leads = any(each.role == "rebalance" and each.is_held for each in await list_leaders(opened.pool))
    return "" if leads else "; nothing moves until an `argosy maintain` runs"


async def _row_of(opened: Opened, shard: str) -> ShardRow:
    """Return the member with this id, or at this endpoint."""
    for row in await opened.directory.shards():
        if shard in (str(row.member_id), row.endpoint):
            return row
    raise SettingError(f"there is no shard {shard}: `argosy shards list`")


async def _shown_shard(opened: Opened, counted: ShardCounted, moves: MovesOfShard, plans: Sequence[Plan]) -> Shown:
    shard = counted.shard
    line = await opened.members.line(shard.member_id)
    return {
        "member_id": str(shard.member_id),
        "endpoint": shard.endpoint,
        "state": shard.state,
        "graphs": counted.graphs,
        "coming": moves.coming,
        "going": moves.going,
        "is_up": line.is_up,
        "reason": reason_of(shard.member_id, line.why_not, moves, plans),
        "added_at": shard.added_at.isoformat(),
    }


def _shown_plan(plan: Plan) -> Shown:
    return {
        "plan": str(plan.plan_id),
        "kind": plan.kind,
        "shard": plan.shard and str(plan.shard),
        "state": plan.state,
        "planned": plan.planned,
        "open": plan.moves,
        "blocked": plan.blocked,
        "asked_at": plan.asked_at.isoformat(),
    }


def _shown_move(move: Move) -> Shown:
    facts: dict[str, Any] = {
        "move": str(move.move_id),
        "plan": move.plan_id and str(move.plan_id),
        "tenant": move.tenant,
        "graph": move.graph,
        "source": str(move.source),
        "target": str(move.target),
        "state": move.state,
        "reason": move.reason,
        "tries": move.tries,
        "size_bytes": move.size_bytes,
        "copied_bytes": move.copied_bytes,
        "planned_at": move.planned_at.isoformat(),
        "ended_at": move.ended_at and move.ended_at.isoformat(),
        "stalled_s": move.stalled_s,
    }
    return facts
