"""What shards have of graphs that have moved: shown and dropped, and never what is served or still to be carried on."""

import uuid

import pytest

from argosy.clock import SystemClock
from argosy.graph.facts import GraphName, GraphRef
from argosy.graph.orphans import Orphans
from argosy.store.graph import GraphRow
from tests.graph.memory_shards import File
from tests.moves.conftest import Fleet
from tests.moves.points import BACK, CUT_OFF, POINTS
from tests.moves.test_mover import assert_there


async def opened(fleet: Fleet) -> Orphans:
    _, members = await fleet.gateway_and_members()
    return Orphans(fleet.directory, members, SystemClock())


async def found(fleet: Fleet) -> list[tuple[str, str, int, str]]:
    """(the graph, where it is found, its generation there, where it is served)."""
    orphans = await (await opened(fleet)).find()
    return [(each.ref.graph, each.shard.endpoint, each.ref.generation, each.moved_to) for each in orphans]


async def moved(fleet: Fleet) -> GraphRow:
    """A graph that came from shard one to shard two."""
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await fleet.settle(await fleet.leader())
    return row


def put_back(fleet: Fleet, row: GraphRow, generation: int, endpoint: str = "one") -> None:
    """As when the folder was put back from a copy."""
    folder = fleet.shards.folders[endpoint]
    folder.files[GraphName(row.tenant, row.graph)] = File(row.ref._replace(generation=generation))
    folder.dropped.clear()


async def test_what_is_left_of_a_graph_that_has_moved_is_shown_and_goes(fleet: Fleet) -> None:
    row = await moved(fleet)
    put_back(fleet, row, 1)
    assert await found(fleet) == [(row.graph, "one", 1, "two")]

    orphans = await opened(fleet)
    gone = [each.ref async for each in orphans.drop(await orphans.find())]

    assert gone == [row.ref]
    assert await found(fleet) == []
    await assert_there(fleet, row, "two", "ada")


async def test_a_graph_comes_back_to_a_shard_that_had_something_of_it_left(fleet: Fleet) -> None:
    row = await moved(fleet)
    put_back(fleet, row, 1)
    await fleet.ask_move(row, "one")
    await (await fleet.leader()).tick()
    assert await found(fleet) == [(row.graph, "one", 1, "two")], "the move to it waits for that"

    orphans = await opened(fleet)
    assert len([each async for each in orphans.drop(await orphans.find())]) == 1
    await fleet.settle(await fleet.leader())

    await assert_there(fleet, row, "one", "ada")


async def test_what_is_newer_than_the_directory_is_none(fleet: Fleet) -> None:
    """The database is of before a move: all that there is of the graph is where it has moved to."""
    row = await moved(fleet)
    put_back(fleet, row, 3)
    put_back(fleet, row, 2, "three")

    assert await found(fleet) == []


async def test_what_has_become_the_graph_since_it_was_found_stays(fleet: Fleet) -> None:
    row = await moved(fleet)
    put_back(fleet, row, 1)
    orphans = await opened(fleet)
    before = await orphans.find()
    (first,) = before
    del fleet.shards.folders["one"].files[GraphName(row.tenant, row.graph)]
    await fleet.ask_move(row, "one")
    await fleet.settle(await fleet.leader())

    assert [each async for each in orphans.drop(before)] == []

    await assert_there(fleet, row, "one", "ada")
    assert await fleet.directory.orphaned(first.shard.member_id, [first.ref]) == []


@pytest.mark.parametrize("point", POINTS)
async def test_in_no_state_of_a_move_anything_of_it_is_an_orphan(
    fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    if point in BACK:
        await (await fleet.leader()).tick_until(CUT_OFF, monkeypatch)
    await (await fleet.leader()).tick_until(point, monkeypatch)

    assert await found(fleet) == []


async def test_what_a_move_has_yet_to_drop_of_a_graph_that_was_dropped_is_none(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until("move_activated_noted", monkeypatch)
    await (await fleet.gateway()).drop("acme", row.graph)
    assert list(fleet.files(row)) == ["one"]

    assert await found(fleet) == []


async def test_a_life_that_nobody_knows_is_found_beside_one_that_is_served(fleet: Fleet) -> None:
    row = await moved(fleet)
    name = GraphName(row.tenant, row.graph)
    fleet.shards.folders["three"].files[name] = File(GraphRef(*name, uuid.uuid4(), 9))

    assert await found(fleet) == [(row.graph, "three", 9, "")]
