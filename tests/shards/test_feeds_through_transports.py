"""Feeds, whatever lies between the caller and the graph's file. Shards in memory, of other tests, hold the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import GraphInputError, GraphTooLargeError, KeyExpiredError, WrongOwnerError
from argosy.graph.facts import GraphRef, Source
from argosy.graph.feeds import FEEDS_MAX, FeedBatch
from argosy.graph.ops import DeleteNode
from argosy.graph.transport import Transport
from argosy.ingest.chain import EMPTY
from argosy.shards.engine import Engine
from tests.graph.memory_shards import MemoryShards
from tests.shards.asked import ids_asked
from tests.shards.engines import HORIZON_MS, NOW_MS, Opened, new_ref, person
from tests.shards.feeding import Upload, ingest, people, upload
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, ids_of, shard_of


@asynccontextmanager
async def shard_in_memory(engine: Engine, **_: Any) -> AsyncIterator[Transport]:
    shards = MemoryShards("memory")
    yield shards.to(shards.members[0])
    engine.close()


@pytest.fixture(params=[shard_of, shard_over_grpc, shard_in_memory], ids=["in process", "over gRPC", "in memory"])
async def transport(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    async with request.param(opened(tmp_path)) as transport:
        yield transport


@pytest.fixture
async def there(transport: Transport) -> GraphRef:
    """An empty graph."""
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    return ref


async def send(transport: Transport, ref: GraphRef, lines: Upload, first: int, last: int) -> int:
    """Send lines, and return the number of the line that the feed then waits for."""
    return (await transport.ingest(ref, lines.batch(first, last), deadline_s=S)).state.next


async def test_lines_are_done_once(transport: Transport, there: GraphRef) -> None:
    lines = people("ada", "bob", "cy")

    sent = [(1, 1), (1, 1), (3, 3), (2, 2), (1, 2), (1, 3), (3, 3)]
    assert [await send(transport, there, lines, *each) for each in sent] == [2, 2, 2, 3, 3, 3, 4]
    assert await send(transport, there, people("eve"), 1, 1) == 4
    assert await transport.feeds(there, ["x", "job"], deadline_s=S) == [None, lines.state(3)]
    nodes = await transport.get_nodes(there, ["ada", "bob", "cy", "eve"], deadline_s=S)
    assert [node and node.version for node in nodes] == [1, 2, 3, None]


async def test_what_is_refused_is_said_until_it_is_confirmed(transport: Transport, there: GraphRef) -> None:
    lines = upload(b"{", person("ada"), b"\xff" * 300, b"", person("bob"))

    fed = await transport.ingest(there, lines.batch(1, 5, source=Source("turn", "ingest/job")), deadline_s=S)
    again = await transport.ingest(there, lines.batch(1, 5, confirmed=1), deadline_s=S)
    rest = await transport.ingest(there, lines.asked(confirmed=3), deadline_s=S)

    assert (fed.state, fed.is_cut, fed.version) == (lines.state(5, applied=2, rejected=2), False, 1)
    assert [(each.line, each.code) for each in fed.refused] == [(1, "invalid_graph_input"), (3, "invalid_graph_input")]
    assert (fed.refused[1].start, bool(fed.refused[1].reason)) == (b"\xff" * 200, True)
    assert (again.refused, rest.refused) == (fed.refused[1:], [])
    (ada,) = await transport.get_nodes(there, ["ada"], deadline_s=S)
    assert ada is not None
    assert ada.source == ("turn", "ingest/job")


async def test_numbers_with_holes_arrive_as_they_are(transport: Transport, there: GraphRef) -> None:
    mark = b"partition 3 of t"
    batch = FeedBatch("topic", 0, 1, 2**62, EMPTY, mark, b"x\n" + people("ada").lines[0], numbers=(7, 2**61))

    fed = await transport.ingest(there, batch, deadline_s=S)

    assert fed.state == ("topic", 2**62, mark, 1, 1)
    assert [each.line for each in fed.refused] == [7]


async def test_of_many_who_send_the_same_at_once_one_has_it_done(transport: Transport, there: GraphRef) -> None:
    lines = people(*(f"{number:03}" for number in range(60)))

    async def send_all(size: int) -> None:
        first = 1
        while first <= len(lines.lines):
            first = await send(transport, there, lines, first, min(first + size - 1, len(lines.lines)))

    await asyncio.gather(*(send_all(size) for size in (1, 1, 3, 7, 7, 10)))

    assert await transport.feeds(there, ["job"], deadline_s=S) == [lines.state(60)]


async def test_lines_for_another_life_of_the_graph_are_refused(transport: Transport, there: GraphRef) -> None:
    for ref in (there._replace(generation=2), new_ref(), there._replace(tenant="other")):
        with pytest.raises(WrongOwnerError):
            await transport.ingest(ref, people("ada").whole, deadline_s=S)
        with pytest.raises(WrongOwnerError):
            await transport.feeds(ref, ["job"], deadline_s=S)


async def test_lines_that_contradict_what_is_said_of_them_are_refused(transport: Transport, there: GraphRef) -> None:
    with pytest.raises(GraphInputError, match="the chain is not that of the lines"):
        await transport.ingest(there, people("ada").whole._replace(after=EMPTY), deadline_s=S)
    with pytest.raises(GraphInputError):
        await transport.ingest(there, people("ada").whole._replace(end=2**63), deadline_s=S)


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
def serving(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_a_forgotten_feed_is_refused(serving: Any, opened: Opened, tmp_path: Path) -> None:
    engine, ref = opened(tmp_path), new_ref()
    engine.create(ref)
    ingest(engine, ref, people("ada").whole)
    ingest(engine, ref, people("bob", feed="other").whole, NOW_MS + HORIZON_MS + 1)

    async with serving(engine) as transport:
        with pytest.raises(KeyExpiredError):
            await transport.ingest(ref, people("ada").whole, deadline_s=S)


async def test_what_is_too_much_is_refused(serving: Any, opened: Opened, tmp_path: Path) -> None:
    async with serving(opened(tmp_path), graph_batch_size_bytes_max=1_048_576) as transport:
        ref = new_ref()
        await transport.create(ref, deadline_s=S)

        with pytest.raises(GraphTooLargeError, match="at most 1048576 bytes"):
            await transport.ingest(ref, upload(b"x" * 1_048_577).whole, deadline_s=S)
        for names in ([], ["x"] * (FEEDS_MAX + 1), ["\0"]):
            with pytest.raises(GraphInputError, match="feeds: "):
                await transport.feeds(ref, names, deadline_s=S)


async def test_a_query_sees_the_lines_that_were_done_before_it(serving: Any, opened: Opened, tmp_path: Path) -> None:
    async with serving(opened(tmp_path)) as transport:
        ref = new_ref()
        await transport.create(ref, deadline_s=S)
        await apply(transport, ref, person("ada"))
        assert await ids_asked(transport, ref) == ["ada"]
        lines = upload(person("bob"), b"x", person("cy"), DeleteNode("ada"))

        for number in range(1, 5):
            await send(transport, ref, lines, number, number)
            assert await ids_asked(transport, ref) == await ids_of(transport, ref)

        assert await ids_asked(transport, ref) == ["bob", "cy"]


async def test_lines_and_batches_of_others_come_to_the_view_in_the_order_of_the_file(
    serving: Any, opened: Opened, tmp_path: Path
) -> None:
    async with serving(opened(tmp_path)) as transport:
        ref, lines = new_ref(), upload(*(person("one", n=number) for number in range(40)))
        await transport.create(ref, deadline_s=S)
        assert await ids_asked(transport, ref) == []

        async def send_lines() -> None:
            first = 1
            while first <= 40:  # a batch may leave some of its lines: others wait
                first = await send(transport, ref, lines, first, min(first + 3, 40))

        async def write(number: int) -> None:
            await apply(transport, ref, person("one", n=-number), person(f"other {number}"))

        await asyncio.gather(send_lines(), *map(write, range(20)))

        (one,) = await transport.get_nodes(ref, ["one"], deadline_s=S)
        assert one is not None
        seen = await transport.query(ref, "MATCH (n {id: 'one'}) RETURN n.n", {}, row_limit=1, deadline_s=S)
        assert one.props == b'{"n":%d}' % seen.rows[0][0]
        assert len(await ids_asked(transport, ref)) == 21
