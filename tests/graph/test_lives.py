"""How graphs begin and end, whoever is killed in between, and however many begin at once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from argosy import Context
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import GraphInputError, GraphNameError, GraphNotFoundError, GraphTakenError, ShardUnavailableError
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.names import own_graph_of
from argosy.graph.ops import UpsertNode
from argosy.graph.placement import place
from argosy.store.graph import Directory, GraphRowState, NewGraph
from argosy.store.pool import connect
from tests.graph.conftest import OpenGateway
from tests.graph.memory_shards import Fault, MemoryShards
from tests.harness.hand_clock import HandClock
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

ADA = UpsertNode(id="ada", label="Person")


async def killed(work: Coroutine[Any, Any, object], shards: MemoryShards, fault: Fault) -> None:
    """Run until a call hangs, and no further, as a process that is killed there."""
    shards.faults.append(fault)
    task = asyncio.create_task(work)
    async with asyncio.timeout(20):
        await shards.hanging.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_new_graph_goes_where_its_name_belongs(graphs: Graphs, shards: MemoryShards) -> None:
    row = await graphs.create("acme", "crm")

    assert row.shard == place([each.member_id for each in shards.members], "acme", "crm")
    assert (row.generation, row.state) == (1, GraphRowState.ACTIVE)
    assert [file.ref for file in shards.files_of("acme", "crm")] == [row.ref]


async def test_a_new_graph_whose_shard_is_away_goes_to_the_next_by_its_name_and_stays_there(
    open_gateway: OpenGateway, shards: MemoryShards, directory: Directory, settings: Settings
) -> None:
    first, second = await open_gateway(), await open_gateway()
    ids = [each.member_id for each in shards.members]
    away = place(ids, "acme", "crm")
    shards.down.add(shards.endpoint_of(away))
    members = Members(directory, shards, settings, SystemClock())
    await members.refresh()
    await members.look()

    row = await Graphs(directory, members, settings, SystemClock()).create("acme", "crm")
    shards.down.clear()

    assert row.shard == place([each for each in ids if each != away], "acme", "crm")
    assert (await first.create("acme", "crm")).ref == (await second.create("acme", "crm")).ref == row.ref
    assert [file.ref for file in shards.files_of("acme", "crm")] == [row.ref]
    await members.close()


async def test_a_new_graph_waits_for_its_shard_when_none_answers(
    directory: Directory, shards: MemoryShards, settings: Settings
) -> None:
    members = Members(directory, shards, settings, HandClock())
    shards.down |= set(shards.folders)
    await members.refresh()
    await members.look()

    with pytest.raises(ShardUnavailableError) as caught:
        await Graphs(directory, members, settings, HandClock()).create("acme", "crm")

    assert caught.value.shard == place([each.member_id for each in shards.members], "acme", "crm")
    await members.close()


async def test_gateways_that_create_a_name_at_once_make_one_graph(
    open_gateway: OpenGateway, shards: MemoryShards
) -> None:
    gateways = [await open_gateway() for _ in range(4)]

    rows = await asyncio.gather(*(each.create("acme", "crm") for each in gateways * 3))

    assert len(set(rows)) == 1
    assert [file.ref for file in shards.files_of("acme", "crm")] == [rows[0].ref]


@pytest.mark.parametrize("is_after", [False, True], ids=["before the shard has it", "before the row says so"])
@pytest.mark.parametrize("by", ["create", "use", "drop"])
async def test_a_creation_that_was_cut_off_is_carried_on_by_whoever_meets_it(
    open_gateway: OpenGateway, shards: MemoryShards, directory: Directory, by: str, is_after: bool
) -> None:
    first, second = await open_gateway(), await open_gateway()
    await killed(first.create("acme", "crm"), shards, Fault("create", is_after, hangs=True))
    row = await directory.find("acme", "crm")
    assert row is not None
    assert row.state is GraphRowState.CREATING

    if by == "create":
        assert (await second.create("acme", "crm")).ref == row.ref
    elif by == "use":
        assert await second.of("acme", "crm").get_nodes(["ada"]) == [None]
    else:
        await second.drop("acme", "crm")

    assert [file.ref for file in shards.files_of("acme", "crm")] == ([] if by == "drop" else [row.ref])


@pytest.mark.parametrize("is_after", [False, True], ids=["before the shard drops it", "before the row goes"])
@pytest.mark.parametrize("by", ["drop", "create"])
async def test_a_drop_that_was_cut_off_is_carried_on_by_whoever_meets_it(
    open_gateway: OpenGateway, shards: MemoryShards, directory: Directory, by: str, is_after: bool
) -> None:
    first, second = await open_gateway(), await open_gateway()
    former = await first.create("acme", "crm")
    await first.of("acme", "crm").apply([ADA])
    await killed(first.drop("acme", "crm"), shards, Fault("drop", is_after, hangs=True))
    with pytest.raises(GraphNotFoundError):
        await second.find("acme", "crm")
    assert await second.list("acme", "", 10) == []

    if by == "drop":
        await second.drop("acme", "crm")
        assert await directory.find("acme", "crm") is None
        assert shards.files_of("acme", "crm") == []
    else:
        following = await second.create("acme", "crm")
        assert following.incarnation != former.incarnation
        assert await second.of("acme", "crm").get_nodes(["ada"]) == [None]


async def test_a_graph_made_again_stays_empty_whatever_comes_late(
    open_gateway: OpenGateway, shards: MemoryShards
) -> None:
    stale, other = await open_gateway(), await open_gateway()
    former = await stale.create("acme", "crm")
    await stale.of("acme", "crm").apply([ADA])
    await other.drop("acme", "crm")
    await other.create("acme", "crm")
    shard = shards.to(next(each for each in shards.members if each.member_id == former.shard))

    await shard.drop(former.ref, deadline_s=1.0)

    assert await stale.of("acme", "crm").get_nodes(["ada"]) == [None], "the stale row was read again"
    assert len(shards.files_of("acme", "crm")) == 1


@pytest.mark.parametrize("ttl_s", [None, 600.0], ids=["for ever", "for a time"])
async def test_a_creation_after_a_drop_elsewhere_makes_a_graph_whatever_is_remembered(
    open_gateway: OpenGateway, shards: MemoryShards, ttl_s: float | None
) -> None:
    stale, other = await open_gateway(), await open_gateway()
    for _ in range(2):
        former = await stale.create("acme", "crm", ttl_s=ttl_s)
    await other.drop("acme", "crm")

    row = await stale.create("acme", "crm", ttl_s=ttl_s)

    assert row.incarnation != former.incarnation
    assert [file.ref for file in shards.files_of("acme", "crm")] == [row.ref]
    assert (await stale.of("acme", "crm", row.incarnation).apply([ADA])).version == 1


async def test_a_turn_s_first_write_after_a_drop_elsewhere_is_to_a_new_graph(open_gateway: OpenGateway) -> None:
    async def remember(ctx: Context) -> Any:
        return [await ctx.graph(name).upsert_nodes([{"id": "ada", "label": "Person"}]) for name in ("crm", None)]

    worker, gateway = await open_gateway(), await open_gateway()
    first, second = ListJournal(), ListJournal()
    first.shards = second.shards = worker
    assert await run(remember, None, first) == [1, 1]
    for name in ("crm", own_graph_of("default", first.session)):
        await gateway.drop("default", name)

    assert await run(remember, None, second) == [1, 1]


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["after it", "before the row goes"])
async def test_a_creator_that_wakes_up_after_a_drop_makes_nothing_of_the_former_life(
    open_gateway: OpenGateway, shards: MemoryShards, is_cut_off: bool
) -> None:
    slow, other = await open_gateway(), await open_gateway()
    shards.faults.append(Fault("create", hangs=True))
    creating = asyncio.create_task(slow.create("acme", "crm"))
    await shards.hanging.wait()
    former = await other.find("acme", "crm")
    shards.hanging.clear()
    if is_cut_off:
        await killed(other.drop("acme", "crm"), shards, Fault("drop", is_after=True, hangs=True))
    else:
        await other.drop("acme", "crm")

    shards.may_go_on.set()
    row = await creating

    assert row.incarnation != former.incarnation
    assert [file.ref for file in shards.files_of("acme", "crm")] == [row.ref]


async def test_a_row_of_a_backup_whose_graph_was_dropped_since_goes_when_it_is_dropped_again(
    graphs: Graphs, directory: Directory
) -> None:
    row = await graphs.create("acme", "crm")
    await graphs.drop("acme", "crm")
    lost = NewGraph("acme", "crm", row.incarnation, row.shard, GraphRowState.CREATING, None, None)
    await directory.add(lost)  # as if the database were older than the drop

    with pytest.raises(GraphTakenError, match="`argosy graph drop`"):
        await graphs.create("acme", "crm")
    await graphs.drop("acme", "crm")

    assert (await graphs.create("acme", "crm")).incarnation != lost.incarnation


async def test_a_drop_at_a_shard_that_is_down_takes_the_name_away_at_once(
    open_gateway: OpenGateway, shards: MemoryShards, directory: Directory
) -> None:
    first, second = await open_gateway(), await open_gateway()
    row = await first.create("acme", "crm")
    shards.down.add(shards.endpoint_of(row.shard))

    with pytest.raises(ShardUnavailableError):
        await first.drop("acme", "crm")

    for each in (first, second):
        with pytest.raises(GraphNotFoundError):
            await each.find("acme", "crm")
    assert len(await directory.dropped(uuid.UUID(int=0), 10)) == 1


async def test_a_graph_that_is_asked_for_lives_on_however_often_it_is_read(
    directory: Directory, shards: MemoryShards, settings: Settings, graph_dsn: str
) -> None:
    clock = HandClock()
    members = Members(directory, shards, settings, clock)
    graphs = Graphs(directory, members, settings, clock)
    await graphs.create("acme", "crm", ttl_s=600)
    await graphs.create("acme", "crm", ttl_s=600)
    connection = await connect(graph_dsn)
    await connection.execute("UPDATE graphs SET expires_at = now() + interval '1 min'")
    await connection.close()
    clock.now_s += settings.graph_cache_s
    near = await graphs.find("acme", "crm")  # it is remembered now

    await graphs.create("acme", "crm", ttl_s=600)

    row = await directory.find("acme", "crm")
    assert row is not None
    assert row.expires_at is not None
    assert near.expires_at is not None
    assert (row.expires_at - near.expires_at).total_seconds() > 500


async def test_a_copy_becomes_a_graph_under_a_free_name(graphs: Graphs) -> None:
    await graphs.create("acme", "crm")
    await graphs.of("acme", "crm").apply([ADA])

    await graphs.restore("acme", "copy", graphs.of("acme", "crm").export(), deadline_s=5.0)

    (found,) = await graphs.of("acme", "copy").get_nodes(["ada"])
    assert found is not None
    assert (await graphs.find("acme", "copy")).expires_at is None
    with pytest.raises(GraphInputError, match="drop it before"):
        await graphs.restore("acme", "copy", graphs.of("acme", "crm").export(), deadline_s=5.0)


async def test_a_copy_that_is_not_whole_leaves_nothing(
    graphs: Graphs, shards: MemoryShards, directory: Directory
) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield b"damaged\n"

    with pytest.raises(GraphInputError, match="not whole"):
        await graphs.restore("acme", "copy", damaged(), deadline_s=5.0)

    assert await directory.find("acme", "copy") is None
    assert shards.files_of("acme", "copy") == []


async def test_no_graph_is_made_that_no_address_can_hold_and_one_that_is_there_can_be_dropped(
    graphs: Graphs, directory: Directory, shards: MemoryShards
) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"ada\n"

    for name in (".", ".."):
        with pytest.raises(GraphNameError, match="no URL can hold it"):
            await graphs.create("acme", name)
        with pytest.raises(GraphNameError):
            await graphs.restore("acme", name, lines(), deadline_s=5.0)
    shard = shards.members[0].member_id
    await directory.add(NewGraph("acme", ".", uuid.uuid4(), shard, GraphRowState.CREATING, None, None))

    assert await graphs.of("acme", ".").get_nodes(["ada"]) == [None]
    await graphs.drop("acme", ".")

    assert await directory.find("acme", ".") is None


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 513])
async def test_a_name_that_cannot_be_is_refused(graphs: Graphs, name: str) -> None:
    for call in (graphs.create("acme", name), graphs.find("acme", name), graphs.drop("acme", name)):
        with pytest.raises(GraphInputError):
            await call
