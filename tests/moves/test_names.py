"""A graph that is dropped while it moves: its name is free at once, also where its move has yet to end."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.errors import GraphTakenError
from argosy.graph.facts import GraphName, GraphRef
from argosy.graph.ops import UpsertNode
from argosy.ingest.chain import EMPTY
from argosy.ingest.record import LinesRecord
from argosy.store.graph import GraphRow
from argosy.store.ingest import Jobs
from argosy.store.move import MoveState
from argosy.workers.ingest.feed import Feed
from argosy.workers.ingest.graph_life import GraphLives, Life
from tests.graph.memory_shards import File
from tests.moves.conftest import Fleet, ids_of

# Of a graph that was dropped then, its source has a file until the move ends.
LEFT = ["move_switched_noted", "move_activated", "move_activated_noted"]


async def dropped_in_a_move(fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch) -> GraphRow:
    """A graph whose name belongs on shard one, which has its file still, and nobody carries its move on."""
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until(point, monkeypatch)
    await (await fleet.gateway()).drop("acme", row.graph)
    assert list(fleet.files(row)) == ["one"]
    return row


async def assert_new_life(fleet: Fleet, former: GraphRow, again: GraphRow, *ids: str) -> None:
    """It is made, and stays as it is when somebody carries the move of the former one on."""
    await (await fleet.gateway()).of("acme", again.graph).apply([UpsertNode(id="eve", label="Any")])
    await fleet.settle(await fleet.leader())

    assert again.incarnation != former.incarnation
    files = fleet.files(again)
    assert {endpoint: (file.ref, ids_of(file)) for endpoint, file in files.items()} == {
        "one": (again.ref, sorted([*ids, "eve"]))
    }
    assert await fleet.states() == [MoveState.DONE]


@pytest.mark.parametrize("point", LEFT)
async def test_its_name_is_given_anew_while_its_move_is_ending(
    fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = await dropped_in_a_move(fleet, point, monkeypatch)

    again = await (await fleet.gateway()).create("acme", former.graph)

    await assert_new_life(fleet, former, again)


async def test_a_copy_is_restored_under_its_name_while_its_move_is_ending(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = await dropped_in_a_move(fleet, "move_activated_noted", monkeypatch)

    async def lines() -> AsyncIterator[bytes]:
        yield b"bob\n"

    again = await (await fleet.gateway()).restore("acme", former.graph, lines(), deadline_s=5.0)

    await assert_new_life(fleet, former, again, "bob")


async def test_nothing_is_dropped_of_a_life_that_goes_on(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for room has a row that is over, and the life that has the name now moves itself."""
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until("move_retired_noted", monkeypatch)

    assert await fleet.directory.left_behind(row._replace(incarnation=uuid.uuid4())) == []
    assert await fleet.directory.left_behind(row) == []


def feed_of(graph: str, incarnation: uuid.UUID) -> Feed:
    return Feed(LinesRecord(uuid.uuid4().bytes, "acme", graph, incarnation.bytes, 1, 1, 1, EMPTY, b"{}"))


async def lives(fleet: Fleet) -> GraphLives:
    return GraphLives(fleet.directory, await fleet.gateway(), Jobs(fleet.pool))


async def test_records_of_a_graph_are_not_lost_to_what_a_move_left_of_a_former_life(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a database came back from a backup: it knows neither the graph nor the job."""
    former = await dropped_in_a_move(fleet, "move_activated_noted", monkeypatch)
    feed = feed_of(former.graph, uuid.uuid4())

    assert await (await lives(fleet)).look(feed) is Life.MADE

    assert [file.ref.incarnation for file in fleet.files(former).values()] == [feed.incarnation]


async def test_records_of_a_graph_wait_while_its_shard_has_a_life_that_nobody_knows(fleet: Fleet) -> None:
    row = await fleet.graph_on("one")
    await (await fleet.gateway()).drop("acme", row.graph)
    name = GraphName("acme", row.graph)
    fleet.shards.folders["one"].files[name] = File(GraphRef(*name, uuid.uuid4(), 1))
    feed = feed_of(row.graph, uuid.uuid4())

    with pytest.raises(GraphTakenError, match="argosy shards orphans"):
        await (await lives(fleet)).look(feed)

    del fleet.shards.folders["one"].files[name]
    made = await (await fleet.gateway()).find("acme", row.graph)
    assert made.incarnation == feed.incarnation


async def test_records_of_a_graph_that_its_shard_has_dropped_are_of_one_that_is_gone(fleet: Fleet) -> None:
    row = await fleet.graph_on("one")
    await (await fleet.gateway()).drop("acme", row.graph)

    assert await (await lives(fleet)).look(feed_of(row.graph, row.incarnation)) is Life.GONE

    assert await fleet.directory.find("acme", row.graph) is None, "its name is free"
