"""What every transport holds, whatever lies between the caller and the shard's engine."""

import asyncio
import time
import uuid
from pathlib import Path

import psutil
import pytest

from argosy.errors import (
    FencedError,
    GraphInputError,
    GraphTooLargeError,
    KeyMismatchError,
    ShardBusyError,
    WrongOwnerError,
)
from argosy.graph.facts import Applied, Direction, FencingToken, GraphName, GraphRef, Source, WriteKey
from argosy.graph.ops import MergeProps, UpsertNode
from argosy.graph.transport import Transport
from tests.shards.engines import Opened, knows, new_ref, person
from tests.shards.shards import S, apply, ids_of, shard_of
from tests.shards.transports import *  # noqa: F403


async def test_a_shard_says_which_folder_it_has(opened: Opened, tmp_path: Path) -> None:
    engine = opened(tmp_path)
    async with shard_of(engine) as transport:
        assert await transport.identify(deadline_s=S) == engine.member_id


async def test_what_was_applied_is_read(transport: Transport, there: GraphRef) -> None:
    applied = await apply(
        transport, there, person("ada", born=2**63 - 1), person("bob"), knows("ada", "bob"), source=Source("t", "s")
    )

    assert applied == Applied(1)
    ada, nobody = await transport.get_nodes(there, ["ada", "nobody"], deadline_s=S)
    assert nobody is None
    assert ada == ("ada", "Person", b'{"born":9223372036854775807}', 1, Source("t", "s"))
    around = await transport.neighbors(there, ["ada"], direction=Direction.OUT, limit=10, deadline_s=S)
    assert [node.id for node in around.nodes] == ["ada", "bob"]
    assert [edge[:3] for edge in around.edges] == [("ada", "KNOWS", "bob")]
    assert [edge[:3] for edge in await transport.scan_edges(there, limit=10, deadline_s=S)] == [("ada", "KNOWS", "bob")]


async def test_many_nodes_are_read_at_once_in_the_order_of_their_ids(transport: Transport, there: GraphRef) -> None:
    ids = [f"{number:03}" for number in range(500)]
    await apply(transport, there, *map(person, ids))

    found = await transport.get_nodes(there, [*reversed(ids), "x"], deadline_s=S)

    assert [node and node.id for node in found] == [*reversed(ids), None]
    assert await ids_of(transport, there) == ids


async def test_a_page_begins_behind_the_last_one(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("a"), person("b"), UpsertNode("c", "Town"), person("d"))

    page = await transport.scan(there, label="Person", after="a", limit=1, deadline_s=S)
    rest = await transport.scan(there, label="Person", after=page[-1].id, limit=10, deadline_s=S)

    assert [node.id for node in (*page, *rest)] == ["b", "d"]


async def test_a_batch_that_is_refused_says_why(transport: Transport, there: GraphRef) -> None:
    refused = await apply(transport, there, person("ada"), MergeProps({"n": 1}, id="nobody"))

    assert (refused.version, refused.failed) == (0, 1)
    assert "nobody" in refused.reason
    assert await ids_of(transport, there) == []


async def test_a_key_applies_once(transport: Transport, there: GraphRef) -> None:
    key = WriteKey("k", int(time.time() * 1_000))

    assert await apply(transport, there, person("ada"), key=key) == Applied(1)
    assert await apply(transport, there, person("ada"), key=key) == Applied(1)
    with pytest.raises(KeyMismatchError):
        await apply(transport, there, person("bob"), key=key)
    assert await ids_of(transport, there) == ["ada"]


async def test_a_lower_token_is_fenced(transport: Transport, there: GraphRef) -> None:
    session = uuid.uuid4()
    await apply(transport, there, person("ada"), token=FencingToken(session, 2, 1, 1))

    with pytest.raises(FencedError):
        await apply(transport, there, person("bob"), token=FencingToken(session, 1, 1, 1))


async def test_another_life_of_a_graph_is_refused(transport: Transport, there: GraphRef) -> None:
    other = there._replace(incarnation=uuid.uuid4())

    for ref in (other, there._replace(generation=2), there._replace(tenant="other")):
        with pytest.raises(WrongOwnerError):
            await apply(transport, ref, person("ada"))
        with pytest.raises(WrongOwnerError):
            await transport.get_nodes(ref, ["ada"], deadline_s=S)
        with pytest.raises(WrongOwnerError):
            await transport.query(ref, "MATCH (n) RETURN n", {}, row_limit=1, deadline_s=S)


async def test_a_graph_that_was_dropped_and_made_again_is_empty(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("ada"))
    await transport.drop(there, deadline_s=S)
    again = there._replace(incarnation=uuid.uuid4())
    await transport.create(again, deadline_s=S)
    await transport.drop(there, deadline_s=S)

    with pytest.raises(WrongOwnerError):
        await apply(transport, there, person("late"))
    with pytest.raises(WrongOwnerError):
        await transport.create(there, deadline_s=S)
    assert await ids_of(transport, again) == []
    assert [name for name, _ in await transport.list(deadline_s=S)] == [GraphName(again.tenant, again.graph)]


async def test_a_list_comes_in_pages_and_the_last_one_is_short(transport: Transport) -> None:
    refs = [new_ref(graph=f"graph {number}") for number in range(5)]
    for ref in refs:
        await transport.create(ref, deadline_s=S)

    first = [name for name, _ in await transport.list(limit=2, deadline_s=S)]
    await transport.drop(next(ref for ref in refs if ref.graph == first[-1].graph), deadline_s=S)
    second = [name for name, _ in await transport.list(after=first[-1], limit=2, deadline_s=S)]
    last = [name for name, _ in await transport.list(after=second[-1], limit=2, deadline_s=S)]

    assert [len(page) for page in (first, second, last)] == [2, 2, 1]
    assert sorted(first + second + last) == [GraphName(ref.tenant, ref.graph) for ref in refs]
    with pytest.raises(GraphTooLargeError, match="limit: at most 500"):
        await transport.list(limit=501, deadline_s=S)
    with pytest.raises(GraphInputError, match="limit: at least 1"):
        await transport.list(limit=0, deadline_s=S)


async def test_a_graph_says_what_it_has(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, person("ada"), person("bob"), knows("ada", "bob"))

    stats = await transport.stats(there, deadline_s=S)

    assert (stats.incarnation, stats.generation, stats.version) == (there.incarnation, 1, 1)
    assert (stats.node_count, stats.edge_count) == (2, 1)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 513])
async def test_a_name_that_cannot_be_is_refused(transport: Transport, name: str) -> None:
    with pytest.raises(GraphInputError):
        await transport.create(new_ref(graph=name), deadline_s=S)
    with pytest.raises(GraphInputError):
        await transport.create(new_ref(tenant=name), deadline_s=S)


@pytest.mark.parametrize("name", ["Acme/Corp", "acme_corp", "日本", "🦑", "x" * 300, "../../etc/passwd", "a b", "'"])
async def test_graphs_have_any_other_name(transport: Transport, name: str) -> None:
    ref = new_ref(graph=name)
    await transport.create(ref, deadline_s=S)

    await apply(transport, ref, person(name))

    assert await ids_of(transport, ref) == [name]


async def test_whoever_asks_while_a_view_is_being_built_is_told_so_and_not_that_it_asks_for_too_much(
    transport: Transport, there: GraphRef
) -> None:
    asking = asyncio.create_task(transport.query(there, "RETURN 1", {}, row_limit=1, deadline_s=2.0))
    child = await first_child()
    child.suspend()

    with pytest.raises(ShardBusyError, match="is still being built: ask again"):
        await asking
    child.resume()

    assert (await transport.query(there, "RETURN 1", {}, row_limit=1, deadline_s=S)).rows == [[1]]


async def first_child() -> psutil.Process:
    """The process of a view that was just begun."""
    async with asyncio.timeout(S):
        while not (found := [each for each in psutil.Process().children() if "views.child" in str(each.cmdline())]):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.005)
    return found[0]
