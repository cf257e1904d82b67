"""Graphs that move between shards under writers and readers, while leaders and shards are killed."""

import asyncio
import itertools
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.errors import WrongOwnerError
from argosy.graph.facts import GraphState
from argosy.graph.ops import UpsertNode
from argosy.graph.placement import place
from argosy.store.move import MoveState
from tests.checker.graph_log import Traffic
from tests.harness.fleet import Fleet
from tests.moves.moving import TENANT, Moving, opened
from tests.moves.points import BACK, CUT_OFF, POINTS

pytestmark = pytest.mark.parametrize("log_name", ["postgres"])


@pytest.fixture
async def moving(idle_fleet: Fleet, tmp_path: Path) -> AsyncIterator[Moving]:
    async with opened(idle_fleet, tmp_path) as moving:
        yield moving


async def made(moving: Moving, count: int) -> list[str]:
    names = [f"graph-{number}" for number in range(count)]
    for each in names:
        await moving.graphs.create(TENANT, each)
    return names


async def made_on_source(moving: Moving) -> str:
    """A graph on the first of two shards, which are named `source` and `target`."""
    await moving.seed("source", "target")
    (name,) = await made(moving, 1)
    if not await moving.graphs_of("source"):
        moving.shards["source"], moving.shards["target"] = moving.shards["target"], moving.shards["source"]
    return name


async def test_shards_come_and_go_under_writers_and_readers(moving: Moving) -> None:
    """The way of an operator: one more shard, its share comes to it, another one is emptied, and removed."""
    await moving.seed("one", "two")
    maintain = moving.maintain()
    names = await made(moving, 12)
    traffic = Traffic(moving.graphs, TENANT, names, pause_s=0.1, readers=2)
    traffic.start()
    third = await asyncio.to_thread(moving.start_shard, "three")

    added, _ = await moving.argosy("shards", "add", third.endpoint)
    await asyncio.to_thread(maintain.wait_ready)
    await moving.until_settled()
    endpoints = {each.member_id: each.endpoint for each in await moving.directory.shards()}
    rows = await moving.graphs.list(TENANT, "", 100)
    fullest = Counter(endpoints[row.shard] for row in rows).most_common(1)[0][0]
    early, refused = await moving.argosy("shards", "remove", fullest)
    drained, _ = await moving.argosy("shards", "drain", fullest, "--wait")
    await traffic.until_written(1)
    removed, _ = await moving.argosy("shards", "remove", fullest)
    await asyncio.to_thread(next(each for each in moving.shards.values() if each.endpoint == fullest).bury)
    await traffic.until_written(1)
    await traffic.stop()

    assert (added, early, drained, removed) == (0, 1, 0, 0)
    assert "argosy shards drain" in refused
    assert {row.graph: row.shard for row in rows} == {each: place(endpoints, TENANT, each) for each in names}
    assert {each.state for each in await moving.moves()} == {MoveState.DONE}
    await traffic.assert_all_there()


@pytest.mark.slow
@pytest.mark.scenario(
    "F44 killed in each state of a move", "no write lost, no read older than another, the graph moves"
)
@pytest.mark.parametrize("victim", ["leader", "source", "target"])
@pytest.mark.parametrize("point", POINTS)
async def test_whoever_is_killed_in_whatever_state_no_write_is_lost_and_no_read_is_old(
    moving: Moving, point: str, victim: str
) -> None:
    name = await made_on_source(moving)
    traffic = Traffic(moving.graphs, TENANT, [name], pause_s=0.01, readers=2)
    traffic.start()
    await traffic.until_written(10)
    await moving.ask_move(name, "target")

    for each in [CUT_OFF, point] if point in BACK else [point]:
        doomed = moving.maintain(crash_at=each)
        assert await asyncio.to_thread(doomed.wait_dead, 30) == -9
    if victim != "leader":
        moving.shards[victim].process.kill()
    moving.maintain()
    await asyncio.sleep(1.0)  # what the next leader does while the victim is away
    if victim != "leader":
        await asyncio.to_thread(moving.shards[victim].start)
    await moving.until_settled()
    await traffic.until_written(10)
    await traffic.stop()

    assert (await moving.graphs_of("source"), await moving.graphs_of("target")) == (0, 1)
    assert await moving.files("source") == []
    await traffic.assert_all_there()


@pytest.mark.slow
async def test_the_old_shard_that_comes_back_with_its_files_serves_nothing(moving: Moving) -> None:
    """It was killed before it dropped the graph, and nobody tells it so for a while."""
    name = await made_on_source(moving)
    traffic = Traffic(moving.graphs, TENANT, [name], pause_s=0.01, readers=2)
    traffic.start()
    await traffic.until_written(5)
    stale = await moving.graphs.find(TENANT, name)
    await moving.ask_move(name, "target")
    doomed = moving.maintain(crash_at="move_activated_noted")
    assert await asyncio.to_thread(doomed.wait_dead, 30) == -9

    moving.shards["source"].process.kill()
    await asyncio.to_thread(moving.shards["source"].start)
    async with moving.called("source") as transport:
        with pytest.raises(WrongOwnerError):
            await transport.get_nodes(stale.ref, ["head"], deadline_s=5)
        with pytest.raises(WrongOwnerError):
            await transport.get_nodes(stale.ref._replace(generation=2), ["head"], deadline_s=5)
    await traffic.until_written(5)
    moving.maintain()
    await moving.until_settled()
    await traffic.stop()

    assert await moving.files("source") == []
    await traffic.assert_all_there()


async def test_the_name_of_a_graph_that_was_dropped_in_a_move_is_free_where_its_file_is_still(moving: Moving) -> None:
    name = await made_on_source(moving)
    graph = moving.graphs.of(TENANT, name)
    await graph.apply([UpsertNode(id="ada", label="Person")])
    await moving.ask_move(name, "target")
    doomed = moving.maintain(crash_at="move_activated_noted")
    assert await asyncio.to_thread(doomed.wait_dead, 30) == -9
    await moving.graphs.drop(TENANT, name)
    assert await moving.files("source") == [(name, GraphState.RETIRED)]

    await moving.graphs.create(TENANT, name)
    await graph.apply([UpsertNode(id="bob", label="Person")])
    moving.maintain()
    await moving.until_settled()

    assert (await moving.files("source"), await moving.files("target")) == ([(name, GraphState.ACTIVE)], [])
    ada, bob = await graph.get_nodes(["ada", "bob"])
    assert ada is None
    assert bob is not None


@pytest.mark.slow
async def test_a_folder_of_before_a_move_is_rid_of_what_has_moved(moving: Moving, tmp_path: Path) -> None:
    """It was put back from a copy, as after its disk was lost."""
    name = await made_on_source(moving)
    graph, source = moving.graphs.of(TENANT, name), moving.shards["source"]
    await graph.apply([UpsertNode(id="ada", label="Person")])
    source.process.kill()
    await asyncio.to_thread(shutil.copytree, source.folder, tmp_path / "copy")
    await asyncio.to_thread(source.start)
    await moving.ask_move(name, "target")
    moving.maintain()
    await moving.until_settled()
    _, before = await moving.argosy("shards", "orphans")
    source.process.kill()
    await asyncio.to_thread(shutil.rmtree, source.folder)
    await asyncio.to_thread(shutil.copytree, tmp_path / "copy", source.folder)
    await asyncio.to_thread(source.start)

    left = await moving.files("source")
    shown, said = await moving.argosy("shards", "orphans")
    dropped, _ = await moving.argosy("shards", "orphans", "--drop", "--yes")

    assert "incarnation" not in before
    assert (left, shown, dropped) == ([(name, GraphState.ACTIVE)], 0, 0)
    assert f'"moved_to": "{moving.shards["target"].endpoint}"' in said
    assert (await moving.files("source"), await moving.files("target")) == ([], [(name, GraphState.ACTIVE)])
    assert None not in await graph.get_nodes(["ada"])


@pytest.mark.slow
@pytest.mark.scenario(
    "F44 a shard more, and one less", "300 graphs under kills: all writes there, a third of them moves"
)
@pytest.mark.timeout(1_200)
async def test_three_hundred_graphs_survive_a_shard_that_is_added_and_drained_while_everybody_is_killed(
    moving: Moving,
) -> None:
    await moving.seed("one", "two")
    names = await made(moving, 300)
    traffic = Traffic(moving.graphs, TENANT, names, pause_s=1.5, readers=2)
    traffic.start()
    await traffic.until_written(1)
    await asyncio.to_thread(moving.start_shard, "three")
    await moving.changes.add(await moving.member("three"))
    await moving.changes.rebalance()

    await settled_while_killed(moving, traffic)
    members = [each.member_id for each in await moving.directory.shards()]
    rows = await moving.graphs.list(TENANT, "", 1_000)
    assert {row.graph: row.shard for row in rows} == {each: place(members, TENANT, each) for each in names}
    # 300 names: one standard deviation of the share is 2.7 %.
    assert abs(await moving.graphs_of("three") / 300 - 1 / 3) < 0.1
    three = (await moving.member("three")).member_id
    moved = Counter(each.graph for each in await moving.moves() if each.state is MoveState.DONE)
    assert moved == Counter(row.graph for row in rows if row.shard == three)  # nobody else's graph moved, or twice

    assert await moving.changes.drain((await moving.member("three")).member_id) is not None
    await settled_while_killed(moving, traffic)
    assert await moving.graphs_of("three") == 0
    assert await moving.files("three") == []
    code, _ = await moving.argosy("shards", "remove", moving.shards["three"].endpoint)
    assert code == 0
    await asyncio.to_thread(moving.shards["three"].bury)
    await traffic.until_written(1)
    await traffic.stop()

    await traffic.assert_all_there()


async def settled_while_killed(moving: Moving, traffic: Traffic) -> None:
    """Let all moves come to their end, and kill the leader and each shard in turn meanwhile."""
    leader = moving.maintain()
    for victim in itertools.chain.from_iterable(itertools.repeat(("leader", "one", "three", "leader", "two"), 2)):
        await asyncio.sleep(1.5)
        traffic.check()
        if victim == "leader":
            leader.kill()
            leader = moving.maintain()
        else:
            moving.shards[victim].process.kill()
            await asyncio.to_thread(moving.shards[victim].start)
    await moving.until_settled(within_s=300)
    await asyncio.to_thread(leader.terminate)


async def test_a_drain_with_nowhere_to_go_is_refused(moving: Moving) -> None:
    await moving.seed("one")

    code, said = await moving.argosy("shards", "drain", moving.shards["one"].endpoint)

    assert code == 1
    assert "nowhere to go" in said
