"""What every transport holds, whatever lies between the caller and the shard's engine."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from argosy.errors import (
    FencedError,
    GraphDeadlineError,
    GraphInputError,
    GraphTooLargeError,
    KeyMismatchError,
    ShardBusyError,
    WrongOwnerError,
)
from argosy.graph.facts import TYPES_MAX, Applied, Direction, FencingToken, GraphName, GraphRef, Source, WriteKey
from argosy.graph.ops import NESTING_MAX, OPS_MAX, PROPS_SIZE_BYTES_MAX, VECTORS_MAX, MergeProps, Op, UpsertNode
from argosy.graph.transport import Transport
from tests.shards.engines import NO_SOURCE, Opened, knows, new_ref, person
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, ids_of, sent, shard_of


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def transport(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    bounds = {"graph_rows_max": 1_000, "graph_answer_size_bytes_max": 1_048_576, "shard_stall_s": 0.2}
    reached = request.param(opened(tmp_path), **bounds)
    async with reached as transport:
        yield transport


@pytest.fixture
async def there(transport: Transport) -> GraphRef:
    """An empty graph."""
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    return ref


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


def nested(depth: int) -> list[Any]:
    """Return a list that is nested so deep."""
    return reduce(lambda inner, _: [inner], range(depth - 1), list[Any]())


def malformed() -> Iterator[tuple[str, list[Op]]]:
    yield "no operation", []
    yield "no number", [person("ada", n=float("nan"))]
    yield "more than 64 bits", [person("ada", n=2**63)]
    yield "no name", [person("")]
    yield "too large", [person("ada", text="x" * 1_048_577)]
    yield "too deep", [person("ada", deep=nested(NESTING_MAX))]
    yield "in a large batch", [*(person(str(number)) for number in range(100)), person("ada", n=2**63)]


@pytest.mark.parametrize("ops", [pytest.param(ops, id=what) for what, ops in malformed()])
async def test_operations_that_break_a_rule_are_refused(transport: Transport, there: GraphRef, ops: list[Op]) -> None:
    with pytest.raises(GraphInputError):
        await apply(transport, there, *ops)
    assert await ids_of(transport, there) == []


async def test_what_is_nested_has_a_bound(transport: Transport, there: GraphRef) -> None:
    deepest = {"deep": nested(NESTING_MAX - 1)}
    await apply(transport, there, person("ada", **deepest))
    answer = await transport.query(there, "RETURN $deep", deepest, row_limit=1, deadline_s=S)

    (ada,) = await transport.get_nodes(there, ["ada"], deadline_s=S)
    assert ada
    assert msgspec.json.decode(ada.props) == deepest
    assert len(answer.rows) == 1
    with pytest.raises(GraphInputError, match=f"nested deeper than {NESTING_MAX}"):
        await transport.query(there, "RETURN $deep", {"deep": nested(NESTING_MAX)}, row_limit=1, deadline_s=S)


async def test_what_is_asked_for_has_bounds(transport: Transport, there: GraphRef) -> None:
    with pytest.raises(GraphTooLargeError, match="1000"):
        await transport.get_nodes(there, ["x"] * 1_001, deadline_s=S)
    with pytest.raises(GraphTooLargeError, match="1000"):
        await transport.scan(there, limit=1_001, deadline_s=S)
    with pytest.raises(GraphInputError):
        await transport.scan(there, limit=0, deadline_s=S)
    with pytest.raises(GraphInputError):
        await transport.neighbors(there, ["x"], depth=99, limit=1, deadline_s=S)
    for cypher, params in (("RETURN 1 //" + "x" * 65_536, {}), ("RETURN $x", {"x": "y" * 65_536})):
        with pytest.raises(GraphTooLargeError, match="at most 65536 bytes"):
            await transport.query(there, cypher, params, row_limit=1, deadline_s=S)
    types = [str(number) for number in range(TYPES_MAX + 1)]
    await transport.neighbors(there, ["x"], types=types[1:], limit=1, deadline_s=S)
    with pytest.raises(GraphTooLargeError, match=f"types: at most {TYPES_MAX}, not {TYPES_MAX + 1}"):
        await transport.neighbors(there, ["x"], types=types, limit=1, deadline_s=S)


async def test_what_is_written_has_bounds(transport: Transport, there: GraphRef) -> None:
    many = [person("ada")] * (OPS_MAX + 1)
    large = person("ada", text="x" * PROPS_SIZE_BYTES_MAX)
    vectors = UpsertNode("ada", "Person", vectors={f"v{number}": [1.0] for number in range(VECTORS_MAX + 1)})

    for ops in (many, [large], [vectors]):
        with pytest.raises(GraphTooLargeError):
            await apply(transport, there, *ops)
    for nothing in (transport.get_nodes(there, [], deadline_s=S), apply(transport, there)):
        with pytest.raises(GraphInputError) as raised:
            await nothing
        assert not isinstance(raised.value, GraphTooLargeError)


async def test_an_answer_has_a_bound(transport: Transport, there: GraphRef) -> None:
    ids = [str(number) for number in range(5)]
    for node_id in ids:
        await apply(transport, there, person(node_id, text="x" * 300_000))
    await apply(transport, there, *(knows("0", node_id) for node_id in ids[1:]))

    with pytest.raises(GraphTooLargeError):
        await transport.get_nodes(there, ids, deadline_s=S)
    with pytest.raises(GraphTooLargeError):
        await transport.scan(there, limit=5, deadline_s=S)
    around = await transport.neighbors(there, ["0"], limit=10, deadline_s=S)
    assert around.is_cut
    assert [node.id for node in around.nodes] == ["0", "1", "2"]
    assert {edge.dst for edge in around.edges} == {"1", "2"}
    assert len(await transport.get_nodes(there, ids[:3], deadline_s=S)) == 3


async def test_a_load_is_whole_or_nothing(transport: Transport, there: GraphRef) -> None:
    batches = [[person(f"{batch}-{number}") for number in range(50)] for batch in range(10)]

    loaded = await transport.bulk_load(there, sent(*batches), source=Source("t", "s"), deadline_s=S)

    assert loaded == Applied(1)
    assert (await transport.stats(there, deadline_s=S)).node_count == 500
    with pytest.raises(GraphInputError):
        await transport.bulk_load(there, sent([person("more")], [person("n", n=2**63)]), source=NO_SOURCE, deadline_s=S)
    assert (await transport.stats(there, deadline_s=S)).node_count == 500


async def test_a_load_whose_caller_fails_changes_nothing(transport: Transport, there: GraphRef) -> None:
    async def failing() -> AsyncIterator[Sequence[Op]]:
        yield [person("ada")]
        raise GraphInputError("it cannot go on")

    with pytest.raises(GraphInputError, match="it cannot go on"):
        await transport.bulk_load(there, failing(), source=NO_SOURCE, deadline_s=S)

    assert await ids_of(transport, there) == []


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


async def test_a_load_whose_caller_says_nothing_ends_at_its_deadline(transport: Transport, there: GraphRef) -> None:
    async def silent() -> AsyncIterator[Sequence[Op]]:
        yield [person("ada")]
        await asyncio.Event().wait()

    with pytest.raises(GraphDeadlineError):
        await transport.bulk_load(there, silent(), source=NO_SOURCE, deadline_s=0.2)

    assert (await apply(transport, there, person("bob"))).version == 1
    assert await ids_of(transport, there) == ["bob"]


async def silent_after(*batches: Sequence[Op]) -> AsyncIterator[Sequence[Op]]:
    for batch in batches:
        yield batch
    await asyncio.Event().wait()


async def test_a_load_whose_caller_says_nothing_gives_way_to_others(transport: Transport, there: GraphRef) -> None:
    load = asyncio.create_task(
        transport.bulk_load(there, silent_after([person("ada")]), source=NO_SOURCE, deadline_s=60.0)
    )

    written = 0
    while not load.done():
        written = (await apply(transport, there, person("bob"), deadline_s=5.0)).version

    with pytest.raises(ShardBusyError, match="SHARD_STALL_S"):
        await load
    assert (await transport.stats(there, deadline_s=S)).version == written


async def test_a_load_that_has_not_begun_holds_up_nobody(transport: Transport, there: GraphRef) -> None:
    load = asyncio.create_task(transport.bulk_load(there, silent_after(), source=NO_SOURCE, deadline_s=60.0))

    for number in range(20):
        await apply(transport, there, person(f"p{number}"))

    assert not load.done()
    load.cancel()
    await asyncio.gather(load, return_exceptions=True)


async def test_what_was_exported_is_restored_on_another_shard(
    transport: Transport, there: GraphRef, opened: Opened, tmp_path: Path
) -> None:
    await apply(transport, there, *(person(f"p{number:03}", text="x" * 5_000) for number in range(200)))
    await apply(transport, there, *(knows("p000", f"p{number:03}") for number in range(200)))
    chunks = [chunk async for chunk in transport.export(there, deadline_s=S)]
    cut = [whole[at : at + 100_001] for whole in [b"".join(chunks)] for at in range(0, len(whole), 100_001)]

    async with shard_of(opened(tmp_path / "other")) as other:
        moved = there._replace(generation=2)
        await other.restore(moved, sent(*cut), deadline_s=S)

        assert await ids_of(other, moved) == await ids_of(transport, there)
        assert (await other.stats(moved, deadline_s=S)).edge_count == 200


async def test_a_restore_of_half_a_graph_leaves_nothing(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, *(person(f"p{number}") for number in range(100)))
    whole = b"".join([chunk async for chunk in transport.export(there, deadline_s=S)])
    await transport.drop(there, deadline_s=S)
    again = there._replace(generation=2)

    with pytest.raises(GraphInputError):
        await transport.restore(again, sent(whole[: len(whole) // 2]), deadline_s=S)

    assert await transport.list(deadline_s=S) == []


async def test_an_export_may_be_left(transport: Transport, there: GraphRef) -> None:
    await apply(transport, there, *(person(f"p{number:03}", text="x" * 50_000) for number in range(50)))

    async with aclosing(transport.export(there, deadline_s=S)) as chunks:  # type: ignore[type-var]
        async for _ in chunks:
            break

    assert (await apply(transport, there, person("later"))).version == 2
