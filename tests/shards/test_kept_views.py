"""Views of a shard: what was committed is seen, and whatever becomes of a view, the graph is there."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy import telemetry
from argosy.errors import (
    CypherError,
    GraphDeadlineError,
    GraphTooLargeError,
    ShardBusyError,
    ViewLostError,
    WrongOwnerError,
)
from argosy.graph.facts import GraphRef
from argosy.graph.ops import DeleteNode, MergeProps
from argosy.shards.shard import Shard
from tests.harness.metrics import value_of
from tests.shards.asked import ask, children, ids_asked, made, until_asked
from tests.shards.engines import NO_SOURCE, Opened, knows, person
from tests.shards.shards import S, apply, ids_of, sent, shard_of
from tests.shards.views import ENDLESS

ROUNDS_MAX = 300  # of a writer
PATIENT_S = 60.0  # views yield to everything else, and a busy machine may let them wait


@pytest.fixture
async def shard(opened: Opened, tmp_path: Path) -> AsyncIterator[Shard]:
    async with shard_of(opened(tmp_path), shard_views_max=2) as shard:
        yield shard
    assert children() == []


@pytest.fixture
async def ref(shard: Shard) -> GraphRef:
    return await made(shard, "people")


async def test_a_query_sees_what_was_committed_before_it(shard: Shard, ref: GraphRef) -> None:
    await apply(shard, ref, person("ada", n=1), person("bob"), knows("ada", "bob"))
    assert await ask(shard, ref, "MATCH (a)-[:KNOWS]->(b) RETURN a.id, b.id") == [["ada", "bob"]]

    for number in range(2, 30):
        await apply(shard, ref, MergeProps({"n": number}, id="ada"))
        assert await ask(shard, ref, "MATCH (a {id: $id}) RETURN a.n", id="ada") == [[number]]
    await apply(shard, ref, DeleteNode("bob"))
    assert await ids_asked(shard, ref) == ["ada"]


async def test_a_view_that_is_built_beside_writers_equals_the_graph(shard: Shard, ref: GraphRef) -> None:
    await apply(shard, ref, *(person(f"p{number:04}") for number in range(3_000)))
    built = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(ROUNDS_MAX):
            if built.is_set():
                return
            node_id = f"w{writer}-{number:04}"
            await apply(shard, ref, person(node_id), knows(node_id, "p0000"))
            await apply(shard, ref, DeleteNode(f"p{number * 4 + writer + 1:04}"), MergeProps({"n": number}, id="p0000"))

    async def build() -> None:
        await ask(shard, ref, "MATCH (n) RETURN count(n)", deadline_s=PATIENT_S)
        built.set()

    await asyncio.gather(build(), *(write(writer) for writer in range(4)))

    (count,) = await ask(shard, ref, "MATCH (n) RETURN count(n)", deadline_s=PATIENT_S)
    (degree,) = await ask(shard, ref, "MATCH (n)-[:KNOWS]->(p {id: 'p0000'}) RETURN count(n), p.n")
    stats = await shard.stats(ref, deadline_s=S)
    (node,) = await shard.get_nodes(ref, ["p0000"], deadline_s=S)
    assert (count, degree[0]) == ([stats.node_count], stats.edge_count)
    assert node is not None
    assert node.props == b'{"n":%d}' % degree[1]


async def test_a_view_that_was_killed_is_built_again_and_the_graph_is_intact(shard: Shard, ref: GraphRef) -> None:
    await apply(shard, ref, person("ada"))
    await ids_asked(shard, ref)
    (child,) = children()

    asked = asyncio.create_task(ask(shard, ref, ENDLESS))
    await until_asked(1)
    os.kill(child, signal.SIGKILL)

    with pytest.raises(ViewLostError):
        await asked
    await apply(shard, ref, person("bob"))
    assert await ids_asked(shard, ref) == ["ada", "bob"] == await ids_of(shard, ref)


async def test_a_query_that_ends_its_view_each_time_is_refused_in_the_end(shard: Shard, ref: GraphRef) -> None:
    async def killed() -> None:
        await ids_asked(shard, ref)
        asked = asyncio.create_task(ask(shard, ref, ENDLESS))
        await until_asked(1)
        for child in children():
            os.kill(child, signal.SIGKILL)
        await asked

    for _ in range(2):
        with pytest.raises(ViewLostError):
            await killed()
    with pytest.raises(GraphTooLargeError):
        await killed()
    assert await ids_asked(shard, ref) == []


# Doubles a text until there is no memory.
BOMB = "WITH 'aaaaaaaa' AS s RETURN size(reduce(x = s, i IN range(1, 60) | x + x))"


async def test_a_query_that_takes_too_much_memory_is_refused_for_good(opened: Opened, tmp_path: Path) -> None:
    async with shard_of(opened(tmp_path), shard_view_size_bytes_max=268_435_456) as shard:
        ref = await made(shard, "people")
        await apply(shard, ref, person("ada"))

        with pytest.raises(GraphTooLargeError, match="268435456 bytes"):
            await ask(shard, ref, BOMB)

        assert await ids_asked(shard, ref) == ["ada"]


async def test_a_query_beside_one_that_takes_too_much_memory_may_be_asked_again(opened: Opened, tmp_path: Path) -> None:
    async with shard_of(opened(tmp_path), shard_view_size_bytes_max=268_435_456) as shard:
        ref = await made(shard, "people")
        await ids_asked(shard, ref)
        beside = asyncio.create_task(ask(shard, ref, ENDLESS))
        await until_asked(1)

        with pytest.raises((ViewLostError, GraphTooLargeError)):
            await ask(shard, ref, BOMB)

        with pytest.raises(ViewLostError):
            await beside


async def test_a_graph_that_is_too_large_for_a_view_is_not_read_all_the_time(opened: Opened, tmp_path: Path) -> None:
    async with shard_of(opened(tmp_path), shard_view_size_bytes_max=134_217_728) as shard:
        ref = await made(shard, "large")
        for number in range(8):
            await apply(shard, ref, *(person(f"p{number}-{part}", text="x" * 1_000_000) for part in range(15)))

        begun = value_of(telemetry.SHARD_VIEW_BUILDS)
        for _ in range(3):
            with pytest.raises(GraphTooLargeError, match="SHARD_VIEW_SIZE_BYTES_MAX"):
                await ids_asked(shard, ref)

        assert value_of(telemetry.SHARD_VIEW_BUILDS) == begun + 1
        assert len(await shard.get_nodes(ref, ["p0-0", "p7-14"], deadline_s=S)) == 2


async def test_a_graph_whose_view_takes_too_long_is_as_good_as_too_large(opened: Opened, tmp_path: Path) -> None:
    async with shard_of(opened(tmp_path), shard_view_build_s=0.01) as shard:
        ref = await made(shard, "slow")

        begun = value_of(telemetry.SHARD_VIEW_BUILDS)
        for _ in range(3):
            with pytest.raises(GraphTooLargeError, match="SHARD_VIEW_BUILD_S"):
                await ids_asked(shard, ref)

        assert value_of(telemetry.SHARD_VIEW_BUILDS) == begun + 1


async def test_a_query_ends_at_its_deadline_and_others_do_not_wait_for_it(shard: Shard, ref: GraphRef) -> None:
    other = await made(shard, "people", "another tenant")
    await apply(shard, other, person("ada"))
    assert await ids_asked(shard, other) == ["ada"]
    await ids_asked(shard, ref)

    begun_s = time.monotonic()
    endless = asyncio.create_task(ask(shard, ref, ENDLESS, deadline_s=1.0))
    while not endless.done():
        asked_s = time.monotonic()
        assert await ids_asked(shard, other) == ["ada"]
        await shard.get_nodes(other, ["ada"], deadline_s=S)
        assert time.monotonic() - asked_s < 0.5

    with pytest.raises(GraphDeadlineError):
        await endless
    assert time.monotonic() - begun_s < 2.5
    assert await ids_asked(shard, ref) == []


async def test_a_drop_ends_the_query_that_is_under_way(shard: Shard, ref: GraphRef) -> None:
    await apply(shard, ref, person("ada"))
    await ids_asked(shard, ref)
    asked = asyncio.create_task(ask(shard, ref, ENDLESS))
    await until_asked(1)

    await shard.drop(ref, deadline_s=S)

    with pytest.raises(WrongOwnerError):
        await asked
    again = await made(shard, "people")
    assert await ids_asked(shard, again) == []


async def test_the_view_that_was_not_used_for_longest_makes_room(shard: Shard) -> None:
    refs = [await made(shard, f"graph-{number}") for number in range(4)]
    for ref in refs:
        await apply(shard, ref, person(ref.graph))

    for ref in (*refs, *refs):
        assert await ids_asked(shard, ref) == [ref.graph]
        assert len(children()) <= 3  # one of them may be ending


async def test_a_view_that_falls_behind_holds_up_no_writes_and_is_built_anew(opened: Opened, tmp_path: Path) -> None:
    async with shard_of(opened(tmp_path), shard_view_behind_size_bytes_max=1_048_576) as shard:
        ref = await made(shard, "people")
        await ids_asked(shard, ref)
        (child,) = children()
        os.kill(child, signal.SIGSTOP)

        for number in range(30):
            await apply(shard, ref, person(f"p{number:02}", text="x" * 100_000))

        assert await ids_asked(shard, ref) == [f"p{number:02}" for number in range(30)]
        assert child not in children()


async def test_a_build_goes_on_when_its_query_has_given_up(shard: Shard, ref: GraphRef) -> None:
    await apply(shard, ref, *(person(f"p{number:04}") for number in range(2_000)))

    with pytest.raises(ShardBusyError, match="is still being built"):
        await ask(shard, ref, "MATCH (n) RETURN count(n)", deadline_s=0.01)

    assert await ask(shard, ref, "MATCH (n) RETURN count(n)") == [[2_000]]


async def test_a_load_is_seen_by_the_query_behind_it(shard: Shard, ref: GraphRef) -> None:
    await ids_asked(shard, ref)

    await shard.bulk_load(ref, sent([person("ada")], [person("bob")]), source=NO_SOURCE, deadline_s=S)

    assert await ids_asked(shard, ref) == ["ada", "bob"]


@pytest.mark.parametrize("cypher", ["", "MATCH (n", "CREATE (n)"])
async def test_a_query_that_may_not_be_is_refused(shard: Shard, ref: GraphRef, cypher: str) -> None:
    with pytest.raises(CypherError):
        await ask(shard, ref, cypher)
    assert await ids_asked(shard, ref) == []
