"""Who asks for a graph while it moves: waits, and is answered at its new place."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from argosy.errors import GraphMissingError, GraphMovingError
from argosy.graph.facts import GraphName
from argosy.graph.ops import Op, UpsertNode
from argosy.store.shards import Removal
from tests.graph.memory_shards import Fault
from tests.moves.conftest import Fleet, Led

BOB = UpsertNode(id="bob", label="Any")


async def sealed(fleet: Fleet) -> tuple[str, "asyncio.Task[object]"]:
    """A graph that is on its way and takes no writes until the test lets it land."""
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    fleet.shards.faults.append(Fault("land", hangs=True))
    leader: Led = await fleet.leader()
    moving = asyncio.create_task(leader.tick())
    await fleet.shards.hanging.wait()
    return row.graph, moving


async def test_a_writer_waits_until_the_graph_has_arrived_and_a_reader_does_not(fleet: Fleet) -> None:
    gateway = await fleet.gateway()
    name, moving = await sealed(fleet)

    writing = asyncio.create_task(gateway.of("acme", name).apply([BOB]))
    read = await gateway.of("acme", name).get_nodes(["ada"])
    await asyncio.sleep(0.05)
    assert not writing.done()
    fleet.shards.may_go_on.set()
    await moving

    assert None not in read
    assert (await writing).version == 2
    assert None not in await gateway.of("acme", name).get_nodes(["ada", "bob"])


async def test_a_writer_whose_time_is_over_is_told_that_the_graph_moves(fleet: Fleet) -> None:
    gateway = await fleet.gateway()
    name, moving = await sealed(fleet)

    with pytest.raises(GraphMovingError):
        await gateway.of("acme", name).apply([BOB], deadline_s=0.2)

    fleet.shards.may_go_on.set()
    await moving


async def test_a_stream_is_not_sent_twice_so_it_is_told_at_once(fleet: Fleet) -> None:
    gateway = await fleet.gateway()
    name, moving = await sealed(fleet)

    async def batches() -> AsyncIterator[Sequence[Op]]:
        yield [BOB]

    with pytest.raises(GraphMovingError):
        await gateway.of("acme", name).bulk_load(batches(), deadline_s=60)

    fleet.shards.may_go_on.set()
    await moving
    assert (await gateway.of("acme", name).bulk_load(batches())).version == 2


async def test_an_export_begins_where_the_graph_has_come_to(fleet: Fleet) -> None:
    gateway = await fleet.gateway()
    row = await fleet.graph_on("one", "ada")
    await gateway.of("acme", row.graph).get_nodes(["ada"])
    await fleet.ask_move(row, "two")
    await fleet.settle(await fleet.leader())

    assert [line async for line in gateway.of("acme", row.graph).export()] == [b"ada\n"]


async def test_who_remembers_a_shard_that_was_removed_looks_again(fleet: Fleet) -> None:
    gateway, members = await fleet.gateway_and_members()
    row = await fleet.graph_on("one", "ada")
    await gateway.of("acme", row.graph).get_nodes(["ada"])
    await fleet.changes.drain(fleet.member("one").member_id)
    await fleet.settle(await fleet.leader())
    assert (await fleet.changes.remove(fleet.member("one").member_id)).outcome is Removal.REMOVED
    await members.refresh()

    assert None not in await gateway.of("acme", row.graph).get_nodes(["ada"])


async def test_a_graph_whose_file_is_gone_is_not_taken_for_one_that_moves(fleet: Fleet) -> None:
    gateway = await fleet.gateway()
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")  # and nobody carries that out
    del fleet.shards.folders["one"].files[GraphName("acme", row.graph)]

    with pytest.raises(GraphMissingError):
        await gateway.of("acme", row.graph).get_nodes(["ada"])
