"""A move, step by step: what is true after each, and who carries it on when somebody fails."""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from argosy.errors import ArgosyError, GraphNotFoundError, OwnershipLostError, WrongOwnerError
from argosy.graph.copies import CopySums
from argosy.graph.facts import GraphRef, GraphState, WriteKey
from argosy.graph.ops import UpsertNode
from argosy.store.graph import GraphRow
from argosy.store.move import MoveState
from tests.graph.memory_shards import Fault
from tests.moves.conftest import Fleet, Led, ids_of
from tests.moves.points import BACK, CUT_OFF, FORWARD


def some(points: Sequence[str], *quick: str) -> list[Any]:
    """These points, of which the quick suite has some."""
    return [each if each in quick else pytest.param(each, marks=pytest.mark.slow) for each in points]


# Of a move that is not sealed yet, or that has ended, nothing may come late.
LATE = [each for each in FORWARD if each not in ("move_copying_noted", "move_copied", "move_sealed", "move_done_noted")]
# Those at which the graph's writers wait, and the target's death gives the move up.
STALLED = ["move_sealed_noted", "move_landed", "move_landed_noted", "move_retired", "move_retired_noted"]
KEY = WriteKey("k", 0)


async def assert_there(fleet: Fleet, row: GraphRow, endpoint: str, *ids: str) -> None:
    """The graph is on this shard, and on no other, where its row says; it is written to and read."""
    files = fleet.files(row)
    now = await fleet.row(row)
    assert list(files) == [endpoint]
    assert fleet.shards.endpoint_of(now.shard) == endpoint
    assert (files[endpoint].ref, files[endpoint].state) == (now.ref, GraphState.ACTIVE)
    graph = (await fleet.gateway()).of("acme", row.graph)
    await graph.apply([UpsertNode(id="after", label="Any")])
    assert ids_of(files[endpoint]) == sorted([*ids, "after"])
    assert None not in await graph.get_nodes([*ids, "after"])


async def test_a_graph_comes_to_another_shard_whole_and_is_there_alone(fleet: Fleet) -> None:
    row = await fleet.graph_on("one", "ada", "bob")
    stale = (await fleet.gateway()).of("acme", row.graph)
    applied = await stale.apply([UpsertNode(id="cyd", label="Any")], key=KEY)
    await fleet.ask_move(row, "two")

    await (await fleet.leader()).tick()

    assert await stale.apply([UpsertNode(id="cyd", label="Any")], key=KEY) == applied
    await assert_there(fleet, row, "two", "ada", "bob", "cyd")
    (move,) = await fleet.moves()
    assert move.state is MoveState.DONE
    assert move.copied_bytes == move.size_bytes > 0
    assert move.stalled_s is not None
    assert not any(folder.copied.landings or folder.copied.source for folder in fleet.shards.folders.values())


@pytest.mark.parametrize("point", some(FORWARD, "move_sealed", "move_landed_noted", "move_switched_noted"))
async def test_a_move_whose_leader_is_killed_is_carried_on(
    fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada", "bob")
    await fleet.ask_move(row, "two")

    await (await fleet.leader()).tick_until(point, monkeypatch)
    next_one = await fleet.leader()
    for _ in range(3):
        await fleet.make_due()
        await next_one.tick()

    await assert_there(fleet, row, "two", "ada", "bob")
    assert (await fleet.states()).count(MoveState.DONE) == 1


@pytest.mark.parametrize("victim", ["one", "two"])
@pytest.mark.parametrize("point", some(FORWARD, "move_retired_noted", "move_switched_noted"))
async def test_a_move_of_which_a_shard_is_killed_is_carried_on_or_given_up(
    fleet: Fleet, point: str, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada", "bob")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until(point, monkeypatch)
    fleet.shards.kill(victim)

    next_one = await fleet.leader()
    await next_one.tick()
    reads = await try_to_read(fleet, row)
    fleet.shards.down.clear()
    for _ in range(4):
        await fleet.make_due()
        await next_one.tick()

    if victim == "two" and point in STALLED:
        assert reads, "the move is given up, and its source serves the graph"
    await assert_there(fleet, row, "two", "ada", "bob")
    assert [each for each in await fleet.states() if each not in (MoveState.DONE, MoveState.ABORTED)] == []


@pytest.mark.parametrize("victim", ["leader", "one", "two"])
@pytest.mark.parametrize("point", some(BACK, "move_reopened"))
async def test_a_move_that_is_being_given_up_is_made_anew_whoever_is_killed_then(
    fleet: Fleet, point: str, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada", "bob")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until(CUT_OFF, monkeypatch)
    await (await fleet.leader()).tick_until(point, monkeypatch)
    if victim != "leader":
        fleet.shards.kill(victim)

    next_one = await fleet.leader()
    await next_one.tick()
    assert list(fleet.files(row)) == ["one"] or victim == "leader"
    if victim != "one":
        assert await try_to_read(fleet, row), "its source has served it all the time"
    fleet.shards.down.clear()
    await fleet.settle(next_one)

    await assert_there(fleet, row, "two", "ada", "bob")
    states = await fleet.states()
    assert (states.count(MoveState.DONE), set(states)) == (1, {MoveState.DONE, MoveState.ABORTED})
    assert not any(folder.copied.landings for folder in fleet.shards.folders.values())


async def try_to_read(fleet: Fleet, row: GraphRow) -> bool:
    try:
        return None not in await (await fleet.gateway()).of("acme", row.graph).get_nodes(["ada"], deadline_s=0.3)
    except ArgosyError:
        return False


@pytest.mark.parametrize("point", some(FORWARD, "move_sealed_noted", "move_switched_noted"))
async def test_a_graph_that_is_dropped_in_a_move_is_gone_everywhere(
    fleet: Fleet, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    graphs = await fleet.gateway()
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until(point, monkeypatch)

    dropped = await asyncio.gather(graphs.drop("acme", row.graph), return_exceptions=True)
    next_one = await fleet.leader()
    for _ in range(3):
        await fleet.make_due()
        await next_one.tick()
        if await fleet.directory.find("acme", row.graph) is not None:  # as the role graphs does
            await graphs.drop("acme", row.graph)

    assert isinstance(dropped[0], WrongOwnerError | None)
    assert fleet.files(row) == {}
    assert not any(folder.copied.landings for folder in fleet.shards.folders.values())
    with pytest.raises(GraphNotFoundError):
        await graphs.find("acme", row.graph)
    again = await graphs.create("acme", row.graph)
    assert list(fleet.files(again)) == ["one"]


@pytest.mark.parametrize(
    ("point", "is_given_up"),
    [
        ("move_retired", False),
        ("move_sealed_noted", True),
        *(pytest.param(each, False, marks=pytest.mark.slow) for each in LATE if each != "move_retired"),
    ],
)
async def test_late_calls_of_a_deposed_leader_change_nothing(
    fleet: Fleet, point: str, is_given_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    former = await fleet.leader()
    await former.tick_until(point, monkeypatch)
    if is_given_up:
        fleet.shards.down.add("two")
    await (await fleet.leader()).tick()
    before = await picture(fleet, row)
    assert list(before[0]) == ["one" if is_given_up else "two"]
    fleet.shards.down.clear()

    for call in late_calls(fleet, row):
        with contextlib.suppress(ArgosyError):
            await call
        assert await picture(fleet, row) == before
    await fleet.changes.rebalance()
    with pytest.raises(OwnershipLostError):
        await former.tick()
    assert await picture(fleet, row) == before


async def picture(fleet: Fleet, row: GraphRow) -> tuple[dict[str, Any], GraphRef, list[MoveState]]:
    files = {endpoint: (file.ref, file.state, ids_of(file)) for endpoint, file in fleet.files(row).items()}
    return files, (await fleet.row(row)).ref, await fleet.states()


def late_calls(fleet: Fleet, row: GraphRow) -> list[Awaitable[object]]:
    """Every call of the graph's first move, but those that are made after it is decided which way the move goes."""
    move_id = fleet.first_move_id
    one, two = (fleet.shards.to(fleet.member(each)) for each in ("one", "two"))
    return [
        one.copies.set_state(row.ref, GraphState.SEALED, 1, deadline_s=1),
        one.copies.set_state(row.ref, GraphState.RETIRED, 1, deadline_s=1),
        one.copies.release_copy(row.ref, move_id, deadline_s=1),
        two.copies.land(row.ref, move_id, CopySums(b"", 0, b""), deadline_s=1),
    ]


async def test_writers_wait_no_longer_than_they_may(fleet: Fleet) -> None:
    """The target does not answer under the seal: the source takes writes again."""
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    fleet.shards.faults += [Fault("land") for _ in range(1_000)]
    graph = (await fleet.gateway()).of("acme", row.graph)
    moving = asyncio.create_task((await fleet.leader()).tick())
    await fleet.until_called("land")

    applied = await graph.apply([UpsertNode(id="bob", label="Any")])
    await moving

    assert applied.version == 2
    assert MoveState.ABORTED in await fleet.states()
    fleet.shards.faults.clear()
    await fleet.make_due()
    await (await fleet.leader()).tick()
    await assert_there(fleet, row, "two", "ada", "bob")


async def test_what_is_written_while_a_graph_is_copied_comes_with_it(fleet: Fleet) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    fleet.shards.faults.append(Fault("copy", hangs=True, is_after=True))
    moving = asyncio.create_task((await fleet.leader()).tick())
    await fleet.shards.hanging.wait()

    await (await fleet.gateway()).of("acme", row.graph).apply([UpsertNode(id="bob", label="Any")])
    fleet.shards.may_go_on.set()
    await moving

    await assert_there(fleet, row, "two", "ada", "bob")


async def test_a_move_to_a_shard_that_is_away_waits_and_is_forgone_in_the_end(fleet: Fleet) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    fleet.shards.down.add("two")
    leader: Led = await fleet.leader()

    for _ in range(fleet.settings.rebalance_tries_max + 1):
        await leader.tick()
        await fleet.make_due()

    (move,) = await fleet.moves()
    assert (move.state, move.tries) == (MoveState.ABORTED, fleet.settings.rebalance_tries_max - 1)
    assert "connection refused" in move.reason
    await assert_there(fleet, row, "one", "ada")
    assert (await fleet.row(row)).generation == 1


async def test_a_move_that_is_cancelled_leaves_the_graph_where_it_is(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await fleet.graph_on("one", "ada")
    await fleet.ask_move(row, "two")
    await (await fleet.leader()).tick_until("move_copied", monkeypatch)

    assert await fleet.changes.cancel(fleet.first_move_id) == 1
    await (await fleet.leader()).tick()

    await assert_there(fleet, row, "one", "ada")
    assert await fleet.states() == [MoveState.ABORTED]
    assert not any(folder.copied.landings for folder in fleet.shards.folders.values())
