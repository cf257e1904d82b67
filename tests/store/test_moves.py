"""The rows of moves: each step once, by the leader alone, and a graph is on one shard at any moment."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.errors import OwnershipLostError
from argosy.graph.facts import NOBODY, GraphName, Member
from argosy.store.graph import Directory, GraphRow, GraphRowState, NewGraph
from argosy.store.move import Move, Moves, MoveState, Placed, Planned, list_moves, list_placed, list_plans
from argosy.store.pool import Pool
from argosy.store.shards import Added, Asked, Removal, Removed, ShardChanges
from tests.maintenance.term import term_of

ONE, OTHER, THIRD = (Member(uuid.UUID(int=number), f"tcp://{number}:1") for number in (1, 2, 3))
BEGIN = GraphName("", "")
FORWARD = [MoveState.COPYING, MoveState.SEALED, MoveState.LANDED, MoveState.RETIRED]


class Rows:
    """The rows, and whoever leads."""

    def __init__(self, dsn: str, pool: Pool) -> None:
        self.dsn = dsn
        self.pool = pool
        self.directory = Directory(pool)
        self.changes = ShardChanges(pool)

    async def leader(self) -> Moves:
        return Moves(self.pool, "rebalance", await term_of(self.dsn, "rebalance"))

    async def graph(self, name: str = "crm", shard: Member = ONE) -> GraphRow:
        row = await self.directory.add(
            NewGraph("acme", name, uuid.uuid4(), shard.member_id, GraphRowState.CREATING, None, None)
        )
        assert row is not None
        active = await self.directory.activate(row)
        assert active is not None
        return active

    async def row(self, name: str = "crm") -> GraphRow:
        row = await self.directory.find("acme", name)
        assert row is not None
        return row

    async def moved_up_to(self, state: MoveState, leader: Moves) -> Move:
        """A move of a new graph from ONE to OTHER that has come to this state."""
        await self.graph()
        move_id, asked = await self.changes.move(GraphName("acme", "crm"), OTHER.member_id)
        assert asked is Asked.PLANNED
        for each in FORWARD[: FORWARD.index(state) + 1 if state in FORWARD else 0]:
            assert await leader.step(await self.move(leader, move_id), each)
        return await self.move(leader, move_id)

    async def move(self, leader: Moves, move_id: uuid.UUID) -> Move:
        move = await leader.find(move_id)
        assert move is not None
        return move


@pytest.fixture
async def rows(store_dsn: str) -> AsyncIterator[Rows]:
    pool = Pool(store_dsn, 4, 30.0)
    rows = Rows(store_dsn, pool)
    await rows.directory.seed([ONE, OTHER])
    yield rows
    await pool.close()


async def test_a_graph_is_its_source_s_until_it_is_switched_and_then_its_target_s(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.RETIRED, leader)
    before = await rows.row()

    assert await leader.switch(move)
    after = await rows.row()
    assert await leader.switch(move), "a switch that is sent again is known"

    assert (before.shard, before.generation, before.is_moving) == (ONE.member_id, 1, True)
    assert after == before._replace(shard=OTHER.member_id, generation=2)
    move = await rows.move(leader, move.move_id)
    assert await leader.step(move, MoveState.ACTIVATED)
    assert not (await rows.row()).is_moving
    assert await leader.step(move._replace(state=MoveState.ACTIVATED), MoveState.DONE)
    done = await rows.move(leader, move.move_id)
    assert done.ended_at is not None
    assert done.stalled_s is not None


async def test_a_leader_that_was_deposed_writes_nothing(rows: Rows) -> None:
    former = await rows.leader()
    move = await rows.moved_up_to(MoveState.RETIRED, former)
    await rows.leader()

    for late in (
        former.switch(move),
        former.step(move, MoveState.ABORTING),
        former.abort(move, is_target_dirty=False, again_s=0),
        former.note_copied(move, 1, 1),
        former.put_off(move, 60, "late"),
        former.forgo(move, "late"),
        former.purge(0, 10),
        former.settle_plans(0),
    ):
        with pytest.raises(OwnershipLostError):
            await late

    assert (await rows.row()).generation == 1
    after = await rows.move(former, move.move_id)
    assert after == move._replace(sealed_s=after.sealed_s)


async def test_a_step_is_taken_from_the_state_that_it_is_of(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.COPYING, leader)

    assert not await leader.step(move._replace(state=MoveState.SEALED), MoveState.LANDED)
    assert not await leader.switch(move)
    assert await leader.note_copied(move, 1, 2)
    assert await leader.step(move, MoveState.SEALED)
    assert not await leader.step(move, MoveState.SEALED)
    assert not await leader.note_copied(move, 2, 2)
    assert (await rows.row()).shard == ONE.member_id


async def test_a_graph_that_was_dropped_or_made_again_meanwhile_is_not_switched(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.RETIRED, leader)
    dropped = await rows.directory.mark_dropped("acme", "crm")
    assert dropped is not None

    assert not await leader.switch(move)
    await rows.directory.delete(dropped)
    again = await rows.graph()

    assert not await leader.switch(move)
    assert await rows.row() == again
    assert not again.is_moving


@pytest.mark.parametrize("state", FORWARD)
async def test_a_move_that_is_given_up_leaves_the_graph_where_it_is_in_the_next_generation(
    rows: Rows, state: MoveState
) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(state, leader)

    assert await leader.step(move, MoveState.ABORTING, reason="the target is away")
    assert not await leader.switch(move)
    assert await leader.abort(move, is_target_dirty=True, again_s=None)
    assert await leader.abort(move, is_target_dirty=True, again_s=None), "an end that is sent again is known"

    row = await rows.row()
    assert (row.shard, row.generation, row.is_moving) == (ONE.member_id, 2, False)
    (dirty,) = await leader.dirty(10)
    assert dirty.reason == "the target is away"
    await leader.note_clean(dirty, is_clean=True, after_s=0)
    assert await leader.dirty(10) == []


async def test_a_graph_that_is_being_dropped_is_named_by_its_drop_as_the_shard_has_it(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.SEALED, leader)
    await rows.directory.mark_dropped("acme", "crm")

    await leader.step(move, MoveState.ABORTING)
    await leader.abort(move, is_target_dirty=False, again_s=None)

    assert [row.generation for row in await rows.directory.dropped(NOBODY, 10)] == [2]


async def test_a_move_that_is_given_up_for_now_is_planned_anew_unless_its_plan_has_ended(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.SEALED, leader)
    await leader.step(move, MoveState.ABORTING, reason="the target is away")

    await leader.abort(move, is_target_dirty=False, again_s=0)
    await leader.abort(move, is_target_dirty=False, again_s=0)

    (again,) = await leader.due([], 10)
    assert again[1:12] == (None, *move[2:7], 2, MoveState.PLANNED, b"", "the target is away", 1)
    await leader.forgo(again, "")
    await rows.changes.rebalance()
    (plan,) = await leader.due_plans()
    await leader.plan(plan, [Planned(Placed(*(await rows.row())[:5]), OTHER.member_id)], BEGIN, is_last=True)
    (planned,) = await leader.due([], 10)
    await leader.step(planned, MoveState.COPYING)
    await rows.changes.cancel(plan.plan_id)
    assert await leader.abort(planned, is_target_dirty=False, again_s=0)
    assert await leader.due([], 10) == []


async def test_what_was_switched_is_not_given_up(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.RETIRED, leader)
    await leader.switch(move)

    assert not await leader.step(move, MoveState.ABORTING)
    assert not await leader.abort(move, is_target_dirty=False, again_s=None)
    assert await rows.changes.cancel(move.move_id) == 0
    assert (await rows.row()).shard == OTHER.member_id


async def test_one_move_of_a_graph_at_a_time(rows: Rows) -> None:
    await rows.graph()
    name = GraphName("acme", "crm")

    asked = await asyncio.gather(*(rows.changes.move(name, OTHER.member_id) for _ in range(3)))

    assert sorted(each for _, each in asked) == [Asked.MOVING, Asked.MOVING, Asked.PLANNED]
    assert (await rows.changes.move(name, ONE.member_id))[1] is Asked.HERE
    assert (await rows.changes.move(name, THIRD.member_id))[1] is Asked.SHUT
    assert (await rows.changes.move(GraphName("other", "crm"), OTHER.member_id))[1] is Asked.UNKNOWN


async def test_a_plan_is_asked_for_once_and_ends_with_its_moves(rows: Rows) -> None:
    leader = await rows.leader()
    graphs = [await rows.graph(name) for name in ("a", "b", "c")]
    plan_id = await rows.changes.rebalance()
    assert await rows.changes.rebalance() == plan_id
    (plan,) = await leader.due_plans()
    placed = await list_placed(rows.pool, BEGIN, None, 10)
    assert placed == [Placed(*row[:5]) for row in graphs]

    changed = placed[1]._replace(generation=7)
    planned = [Planned(each, OTHER.member_id) for each in (placed[0], changed)]
    assert await leader.plan(plan, planned, BEGIN, is_last=False) == 1
    assert await leader.plan(plan, planned, GraphName("acme", "c"), is_last=True) == 0, "it moves already"
    assert await leader.due_plans() == []
    assert await leader.settle_plans(0) == 0
    (shown,) = await list_plans(rows.pool)
    assert (shown.planned, shown.moves, shown.state) == (1, 1, "moving")

    (move,) = await leader.due([], 10)
    assert await leader.due([move.move_id], 10) == []
    await leader.forgo(move, "no need")
    assert await leader.settle_plans(0) == 1
    assert await list_plans(rows.pool) == []


async def test_a_shard_that_drains_is_looked_at_until_it_is_empty(rows: Rows) -> None:
    leader = await rows.leader()
    await rows.graph()
    plan_id = await rows.changes.drain(ONE.member_id)
    (plan,) = await leader.due_plans()
    assert plan.plan_id == plan_id
    await leader.plan(plan, [], GraphName("acme", "crm"), is_last=True)

    await leader.settle_plans(0)
    assert (await leader.due_plans())[0].after == BEGIN
    await leader.block(plan, "nowhere to go", 60)

    assert await leader.due_plans() == []
    assert (await list_plans(rows.pool))[0].blocked == "nowhere to go"
    assert (
        await rows.directory.add(NewGraph("acme", "x", uuid.uuid4(), ONE.member_id, GraphRowState.CREATING, None, None))
        is None
    )


async def test_the_last_shard_that_takes_graphs_is_not_drained(rows: Rows) -> None:
    drained = await asyncio.gather(*(rows.changes.drain(each.member_id) for each in (ONE, OTHER)))

    assert [each for each in drained if each is None] == [None]
    assert await rows.changes.drain(THIRD.member_id) is None


async def test_a_shard_is_removed_once_nothing_is_on_it_or_on_its_way_to_it(rows: Rows) -> None:
    leader = await rows.leader()
    move = await rows.moved_up_to(MoveState.PLANNED, leader)

    assert await rows.changes.remove(ONE.member_id) == Removed(Removal.HOLDS, 1, 1)
    assert await rows.changes.remove(OTHER.member_id) == Removed(Removal.HOLDS, 0, 1)
    await leader.forgo(move, "")
    assert await rows.changes.remove(OTHER.member_id) == Removed(Removal.REMOVED, 0, 0)
    assert await rows.changes.remove(OTHER.member_id) == Removed(Removal.UNKNOWN, 0, 0)
    await rows.directory.delete(await dropped(rows))
    assert await rows.changes.remove(ONE.member_id) == Removed(Removal.LAST, 0, 0)


async def dropped(rows: Rows) -> GraphRow:
    row = await rows.directory.mark_dropped("acme", "crm")
    assert row is not None
    return row


async def test_a_graph_that_is_made_while_its_shard_is_removed_comes_before_or_not_at_all(rows: Rows) -> None:
    new = NewGraph("acme", "crm", uuid.uuid4(), OTHER.member_id, GraphRowState.CREATING, None, None)

    for _ in range(10):
        row, removed = await asyncio.gather(rows.directory.add(new), rows.changes.remove(OTHER.member_id))

        assert (row is None) == (removed.outcome is Removal.REMOVED)
        if row is not None:
            await rows.directory.delete(await dropped(rows))
        await rows.changes.add(OTHER)


async def test_a_shard_is_added_once(rows: Rows) -> None:
    assert await rows.changes.add(THIRD) is Added.ADDED
    assert await rows.changes.add(THIRD) is Added.KNOWN
    assert await rows.changes.add(Member(uuid.uuid4(), THIRD.endpoint)) is Added.TAKEN


async def test_what_is_cancelled_gives_up_where_it_still_can(rows: Rows) -> None:
    leader = await rows.leader()
    for name in ("a", "b"):
        await rows.graph(name)
    plan_id = await rows.changes.rebalance()
    (plan,) = await leader.due_plans()
    placed = await list_placed(rows.pool, BEGIN, None, 10)
    await leader.plan(plan, [Planned(each, OTHER.member_id) for each in placed], BEGIN, is_last=True)
    first, second = await leader.due([], 10)
    await leader.step(first, MoveState.COPYING)

    assert await rows.changes.cancel(plan_id) == 2
    assert await rows.changes.cancel(plan_id) is None

    assert (await rows.move(leader, first.move_id)).state is MoveState.ABORTING
    assert (await rows.move(leader, second.move_id)).state is MoveState.ABORTED
    copying = first._replace(state=MoveState.COPYING)
    assert not await leader.step(copying, MoveState.SEALED)
    assert not await leader.note_copied(copying, 1, 1)


async def test_moves_are_shown_the_open_ones_first_and_forgotten_in_the_end(rows: Rows) -> None:
    leader = await rows.leader()
    await rows.graph("a")
    ended = (await rows.changes.move(GraphName("acme", "a"), OTHER.member_id))[0]
    await leader.forgo(await rows.move(leader, ended), "")
    opened = (await rows.changes.move(GraphName("acme", "a"), OTHER.member_id))[0]

    shown = await list_moves(rows.pool, 10)
    assert [each.move_id for each in shown] == [opened, ended]
    assert await leader.purge(3_600, 10) == 0
    assert await leader.purge(0, 10) == 1
    assert [each.move_id for each in await list_moves(rows.pool, 10)] == [opened]
