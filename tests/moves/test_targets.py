"""Targets that cannot take a graph, or are not to have it any more: the graph stays where it is."""

import uuid

from argosy.graph.facts import GraphName, GraphRef
from argosy.store.move import MoveState, list_plans
from tests.graph.memory_shards import Fault, File
from tests.moves.conftest import Fleet
from tests.moves.test_mover import assert_there


async def test_a_graph_stays_where_it_is_while_its_target_has_another_life_of_its_name(fleet: Fleet) -> None:
    """As after a database came back from a backup: nobody knows the one at the target (`argosy shards orphans`)."""
    row = await fleet.graph_on("one", "ada")
    name = GraphName("acme", row.graph)
    fleet.shards.folders["two"].files[name] = File(GraphRef(*name, uuid.uuid4(), 1))
    await fleet.ask_move(row, "two")

    await (await fleet.leader()).tick()

    graph = (await fleet.gateway()).of("acme", row.graph)
    assert None not in await graph.get_nodes(["ada"], deadline_s=1)
    (move,) = await fleet.moves()
    assert move.state is MoveState.PLANNED
    assert "another life" in move.reason
    del fleet.shards.folders["two"].files[name]
    await fleet.settle(await fleet.leader())
    await assert_there(fleet, row, "two", "ada")


async def test_a_graph_does_not_come_to_a_shard_that_drains_meanwhile(fleet: Fleet) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await fleet.changes.drain(fleet.member("two").member_id)

    await fleet.settle(await fleet.leader())

    assert [each.state for each in await fleet.moves() if each.graph == row.graph] == [MoveState.ABORTED]
    await assert_there(fleet, row, "one", "ada")


async def test_a_drain_is_not_done_while_a_graph_is_on_its_way_to_the_shard(fleet: Fleet) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    fleet.shards.faults.append(Fault("copy", hangs=True))
    leader = await fleet.leader()
    await leader.tick()
    assert await fleet.states() == [MoveState.COPYING]

    await fleet.changes.drain(fleet.member("two").member_id)
    for _ in range(3):
        await fleet.make_due()
        await leader.tick()
    is_open = bool(await list_plans(fleet.pool))
    fleet.shards.may_go_on.set()
    await fleet.settle(leader)

    assert is_open, "the shard is to get a graph still"
    assert "two" not in fleet.files(row)
