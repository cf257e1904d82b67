"""What turns wrote is forgotten: nothing else is, nothing of it comes late, and nothing of it is left in the file."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from argosy.errors import FencedError, GraphInputError, GraphTooLargeError
from argosy.graph.facts import FencingToken, GraphRef, Source, WriteKey
from argosy.graph.feeds import FeedBatch, source_of
from argosy.graph.forgetting import TURNS_MAX, ForgetFeed, ForgetTurns, Forgotten
from argosy.graph.ops import DeleteNode, UpsertNode
from argosy.graph.transport import Transport
from argosy.ingest.chain import EMPTY, chain_of
from tests.shards.engines import Opened, knows, new_ref, person
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, ids_of, shard_of

SESSION = uuid.uuid4()
TURN = Source("turn-1", "remember")
OTHER = Source("turn-2", "remember")
MARKER = "xylophonemarker"


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def shard(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    async with request.param(opened(tmp_path)) as shard:
        yield shard


@pytest.fixture
async def ref(shard: Transport) -> GraphRef:
    ref = new_ref()
    await shard.create(ref, deadline_s=S)
    return ref


async def forget(shard: Transport, ref: GraphRef, *, is_again: bool = False, place: int = 7) -> Forgotten:
    fence = FencingToken(SESSION, 3, place, 2**31 - 1)
    return await shard.forget(ref, ForgetTurns([TURN.turn_id], [fence], is_again), deadline_s=S)


def of_turn(place: int) -> FencingToken:
    return FencingToken(SESSION, 3, place, 1)


async def test_what_a_turn_wrote_last_goes_and_what_others_wrote_stays(shard: Transport, ref: GraphRef) -> None:
    await apply(shard, ref, person("ada"), person("bob"), knows("ada", "bob"), source=TURN)
    await apply(shard, ref, person("bob", born=1815), person("eve"), knows("eve", "ada"), source=OTHER)
    await apply(shard, ref, knows("eve", "bob"), source=TURN)

    forgotten = await forget(shard, ref)

    assert forgotten == Forgotten(nodes=1, edges=3, is_done=True)
    assert await ids_of(shard, ref) == ["bob", "eve"]
    assert await shard.scan_edges(ref, limit=10, deadline_s=S) == []
    assert await forget(shard, ref) == Forgotten(0, 0, is_done=True)


async def test_a_query_sees_it_no_more(shard: Transport, ref: GraphRef) -> None:
    await apply(shard, ref, person("ada"), source=TURN)
    await apply(shard, ref, person("bob"), source=OTHER)
    counted = "MATCH (n) RETURN count(n)"
    assert (await shard.query(ref, counted, {}, row_limit=1, deadline_s=S)).rows == [[2]]

    await forget(shard, ref)

    assert (await shard.query(ref, counted, {}, row_limit=1, deadline_s=S)).rows == [[1]]


async def test_more_than_fits_into_one_commit_is_forgotten(shard: Transport, ref: GraphRef) -> None:
    people = [person(f"p{number}") for number in range(2_500)]
    await apply(shard, ref, *people, source=TURN)
    await apply(shard, ref, *(knows("p0", f"p{number}") for number in range(2_500)), source=TURN)

    assert await forget(shard, ref) == Forgotten(2_500, 2_500, is_done=True)


async def test_a_write_of_the_turn_that_comes_late_is_fenced(shard: Transport, ref: GraphRef) -> None:
    key = WriteKey("turn-1/remember", 1)
    await forget(shard, ref)

    with pytest.raises(FencedError):
        await apply(shard, ref, person("ada"), key=key, token=of_turn(7), source=TURN)

    await apply(shard, ref, person("bob"), token=of_turn(8), source=OTHER)
    assert await ids_of(shard, ref) == ["bob"]


async def test_the_keys_of_the_turn_go_and_those_of_others_stay(
    shard: Transport, ref: GraphRef, tmp_path: Path
) -> None:
    now_ms = 2**42
    mine, others = WriteKey("turn-1/remember " + MARKER, now_ms), WriteKey("turn-10/remember", now_ms)
    await apply(shard, ref, person("ada"), key=mine, token=of_turn(7), source=TURN)
    first = await apply(shard, ref, person("bob"), key=others, source=OTHER)

    await forget(shard, ref)

    assert await apply(shard, ref, person("bob"), key=others, source=OTHER) == first
    assert found_in(tmp_path, MARKER) == []


async def test_nothing_of_it_is_left_in_the_files(shard: Transport, ref: GraphRef, tmp_path: Path) -> None:
    for number in range(40):
        facts = [
            UpsertNode(f"{MARKER}-{number}", MARKER, {MARKER: f"{MARKER} {n}", "n": n * "x"}, {MARKER: [1.0, float(n)]})
            for n in range(1, 30)
        ]
        await apply(shard, ref, *facts, source=TURN)
        await apply(shard, ref, person(f"p{number}", text="y" * number), source=OTHER)
        if number == 20:
            await shard.search(ref, MARKER, limit=1, deadline_s=S)  # makes the index of words
    assert found_in(tmp_path, MARKER)

    assert (await forget(shard, ref)).is_done

    assert found_in(tmp_path, MARKER) == []
    assert len(await ids_of(shard, ref)) == 40
    assert [hit.node.id for hit in await shard.search(ref, "p7", limit=2, deadline_s=S)] == ["p7"]


async def test_what_an_earlier_call_deleted_is_wiped_out_by_the_next(
    shard: Transport, ref: GraphRef, tmp_path: Path
) -> None:
    await apply(shard, ref, person(MARKER), person("bob"), source=TURN)
    await shard.search(ref, MARKER, limit=1, deadline_s=S)
    await apply(shard, ref, DeleteNode(MARKER), DeleteNode("bob"))  # so far it had come
    assert found_in(tmp_path, MARKER)

    assert await forget(shard, ref, is_again=True) == Forgotten(0, 0, is_done=True)

    assert found_in(tmp_path, MARKER) == []


def fed(job: str, numbers: range, chain: bytes = EMPTY) -> FeedBatch:
    """Lines of a job's feed: nodes, and one line that is refused."""
    lines = [b'{"op": "upsert_node", "id": "f%d", "label": "Fed"}' % number for number in numbers]
    lines.append(b'{"op": "%s"}' % MARKER.encode())
    after, first = chain_of(chain, lines), numbers.start
    text = b"\n".join(lines)
    return FeedBatch(job, 2**41, first, first + len(lines), chain, after, text, source=source_of(job))


async def test_what_a_feed_brought_goes_and_it_brings_nothing_more(
    shard: Transport, ref: GraphRef, tmp_path: Path
) -> None:
    first, others = fed("job-1", range(1, 31)), fed("job-10", range(101, 111))
    others = others._replace(first=1, end=12)
    await shard.ingest(ref, first, deadline_s=S)
    await shard.ingest(ref, others, deadline_s=S)
    await apply(shard, ref, person("f7"), source=OTHER)
    assert found_in(tmp_path, MARKER)

    asked = ForgetTurns([], [], is_again=False, feeds=[ForgetFeed("job-1", 2**41), ForgetFeed("never came", 2**41)])
    assert await shard.forget(ref, asked, deadline_s=S) == Forgotten(29, 0, is_done=True)

    late = fed("job-1", range(32, 40), first.after)
    assert (await shard.ingest(ref, late, deadline_s=S)).refused == []
    assert (await shard.ingest(ref, fed("never came", range(1, 5)), deadline_s=S)).refused == []
    assert sorted(await ids_of(shard, ref)) == sorted(["f7", *(f"f{number}" for number in range(101, 111))])
    again = await shard.ingest(ref, others._replace(confirmed=0), deadline_s=S)
    assert [line.line for line in again.refused] == [11]  # those of another feed are known as before


async def test_a_feed_that_writes_meanwhile_leaves_nothing(shard: Transport, ref: GraphRef) -> None:
    async def feed() -> None:
        chain, first = EMPTY, 1
        while True:
            batch = fed("job-1", range(first, first + 20), chain)
            state = (await shard.ingest(ref, batch, deadline_s=S)).state
            if state.next != batch.end:
                return
            chain, first = batch.after, batch.end

    feeding = asyncio.create_task(feed())
    async with asyncio.timeout(S):
        while len(await ids_of(shard, ref)) < 100:  # noqa: ASYNC110 (what a shard has is seen by asking it)
            await asyncio.sleep(0.01)
    asked = ForgetTurns([], [], is_again=False, feeds=[ForgetFeed("job-1", 2**41)])
    assert (await shard.forget(ref, asked, deadline_s=S)).nodes >= 100

    await feeding
    assert await ids_of(shard, ref) == []


async def test_bad_input_is_refused(shard: Transport, ref: GraphRef) -> None:
    for turns in (
        ForgetTurns([], [], is_again=False),
        ForgetTurns([""], [], is_again=False),
        ForgetTurns([], [], is_again=False, feeds=[ForgetFeed("", 1)]),
        ForgetTurns([], [], is_again=False, feeds=[ForgetFeed("job", -1)]),
    ):
        with pytest.raises(GraphInputError):
            await shard.forget(ref, turns, deadline_s=S)
    with pytest.raises(GraphTooLargeError):
        await shard.forget(ref, ForgetTurns(["t"] * (TURNS_MAX + 1), [], is_again=False), deadline_s=S)


def found_in(root: Path, marker: str) -> list[str]:
    """Return the files below root that have the marker."""
    return [path.name for path in root.rglob("*") if path.is_file() and marker.encode() in path.read_bytes()]
