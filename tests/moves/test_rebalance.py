"""What the role rebalance does of itself: plans, their ends, and what is left behind."""

import pytest

from argosy.graph.placement import place
from argosy.store.graph import ShardState
from argosy.store.move import MoveState, list_plans
from tests.moves.conftest import Fleet


async def graphs(fleet: Fleet, count: int) -> list[str]:
    gateway = await fleet.gateway()
    return [(await gateway.create("acme", f"graph-{number}")).graph for number in range(count)]


async def places(fleet: Fleet) -> dict[str, str]:
    rows = await fleet.directory.list("acme", "", 1_000)
    return {row.graph: fleet.shards.endpoint_of(row.shard) for row in rows}


async def test_a_shard_that_is_added_gets_its_share(fleet: Fleet) -> None:
    await fleet.changes.drain(fleet.member("three").member_id)
    names = await graphs(fleet, 30)
    await fleet.changes.undrain(fleet.member("three").member_id)
    assert "three" not in (await places(fleet)).values()

    await fleet.changes.rebalance()
    await fleet.settle(await fleet.leader())

    members = [each.member_id for each in fleet.shards.members]
    assert await places(fleet) == {each: fleet.shards.endpoint_of(place(members, "acme", each)) for each in names}


async def test_a_shard_is_emptied_onto_those_that_answer(fleet: Fleet) -> None:
    await graphs(fleet, 20)
    before = await places(fleet)
    fleet.shards.down.add("two")
    leader = await fleet.leader()
    await leader.members.look()

    await fleet.changes.drain(fleet.member("one").member_id)
    await fleet.settle(leader)

    assert await places(fleet) == {graph: {"one": "three"}.get(place, place) for graph, place in before.items()}
    assert fleet.shards.folders["one"].files == {}
    (shard,) = [each for each in await fleet.directory.shards() if each.endpoint == "one"]
    assert shard.state is ShardState.DRAINING


async def test_a_graph_that_a_drain_did_not_see_goes_too(fleet: Fleet) -> None:
    """It was being made when the drain began, and came behind its look."""
    late = await fleet.graph_on("one", "ada")
    await fleet.changes.drain(fleet.member("one").member_id)
    await fleet.pool.execute("UPDATE shard_plans SET state = 'moving'")

    await fleet.settle(await fleet.leader())

    assert list(fleet.files(late)) != ["one"]


async def test_a_drain_that_has_nowhere_to_go_says_so_and_goes_on_later(fleet: Fleet) -> None:
    await graphs(fleet, 10)
    for each in ("one", "two"):
        await fleet.changes.drain(fleet.member(each).member_id)
    await fleet.pool.execute("UPDATE shards SET state = 'draining'")
    leader = await fleet.leader()

    await leader.tick()
    blocked = {each.blocked for each in await list_plans(fleet.pool)}
    await fleet.pool.execute("UPDATE shards SET state = 'active' WHERE endpoint = 'three'")
    await fleet.settle(leader)

    assert blocked == {"no shard takes graphs: all of them drain"}
    assert set((await places(fleet)).values()) == {"three"}


async def test_a_target_that_was_away_is_rid_of_what_it_has_of_a_move_that_was_given_up(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until("move_landed_noted", monkeypatch)
    fleet.shards.kill("two")
    await (await fleet.leader()).tick()
    await fleet.changes.cancel((await fleet.moves())[0].move_id)
    assert fleet.shards.folders["two"].copied.landings

    fleet.shards.down.clear()
    await fleet.make_due()
    await (await fleet.leader()).tick()

    assert not fleet.shards.folders["two"].copied.landings
    assert list(fleet.files(row)) == ["one"]
    assert set(await fleet.states()) == {MoveState.ABORTED}
