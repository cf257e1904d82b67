"""Graphs move from one shard to another, in this process and over gRPC, while they are written and read."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import pytest

from argosy.errors import CopyBrokenError, GraphInputError, ShardBusyError, WrongOwnerError
from argosy.graph.copies import CopyPart, CopySums
from argosy.graph.copy_messages import state_of_pb
from argosy.graph.facts import GraphRef, GraphState
from argosy.graph.transport import Transport
from tests.shards.engines import Opened, new_ref, person
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, ids_of, sent, shard_of

COPY = uuid.UUID(int=9)


class Pair(NamedTuple):
    source: Transport
    target: Transport


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def pair(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Pair]:
    bounds = {"shard_copies_max": 2, "shard_copy_wal_size_bytes_max": 1_048_576}
    async with (
        request.param(opened(tmp_path / "source"), **bounds) as source,
        request.param(opened(tmp_path / "target"), **bounds) as target,
    ):
        yield Pair(source, target)


@pytest.fixture
async def there(pair: Pair) -> GraphRef:
    ref = new_ref()
    await pair.source.create(ref, deadline_s=S)
    return ref


async def pipe(pair: Pair, ref: GraphRef) -> CopySums:
    """Send what the target does not have, and return what it has then."""
    source, target = pair.source.copies, pair.target.copies
    there = await target.receive(ref, COPY, sent(), deadline_s=S)
    base = [part async for part in source.copy(ref, COPY, offset=there.base_size_bytes, deadline_s=S)]
    await target.receive(ref, COPY, sent(*base), deadline_s=S)
    tail = [part async for part in source.copy_tail(ref, COPY, offset=there.tail_size_bytes, deadline_s=S)]
    received = await target.receive(ref, COPY, sent(*tail), is_tail=True, deadline_s=S)
    assert received == (base[-1].size_bytes, tail[-1].size_bytes, True, False)
    return CopySums(base[-1].sha256, tail[-1].size_bytes, tail[-1].sha256)


async def test_a_graph_moves_while_it_is_written(pair: Pair, there: GraphRef) -> None:
    source, target = pair.source.copies, pair.target.copies
    await apply(pair.source, there, *[person(f"{number:04}", text="x" * 400) for number in range(4_000)])
    await pipe(pair, there)
    await apply(pair.source, there, person("later"))

    sealed = await source.set_state(there, GraphState.SEALED, 1, deadline_s=S)
    with pytest.raises(WrongOwnerError):
        await apply(pair.source, there, person("too late"))
    assert len(await ids_of(pair.source, there)) == 1_000
    sums = await pipe(pair, there)
    landed = await target.land(there, COPY, sums, sealed, deadline_s=S)
    retired = await source.set_state(there, GraphState.RETIRED, 1, deadline_s=S)
    with pytest.raises(WrongOwnerError):
        await ids_of(pair.source, there)
    active = await target.activate(there, COPY, 2, deadline_s=S)
    await source.release_copy(there, COPY, deadline_s=S)
    await pair.source.drop(there, deadline_s=S)

    assert (sealed.version, landed.version, retired.version, active.version) == (2, 2, 2, 2)
    moved = there._replace(generation=2)
    assert None not in await pair.target.get_nodes(moved, ["0000", "3999", "later"], deadline_s=S)
    assert (await apply(pair.target, moved, person("at the target"))).version == 3


async def test_a_move_is_given_up(pair: Pair, there: GraphRef) -> None:
    source, target = pair.source.copies, pair.target.copies
    sums = await pipe(pair, there)
    await source.set_state(there, GraphState.SEALED, 1, deadline_s=S)

    for _ in range(2):
        await target.abandon(there, deadline_s=S)
        await source.set_state(there, GraphState.ACTIVE, 2, deadline_s=S)

    with pytest.raises(WrongOwnerError):
        await target.land(there, COPY, sums, deadline_s=S)
    assert (await apply(pair.source, there._replace(generation=2), person("ada"))).version == 1


async def test_cypher_does_not_read_what_was_moved(pair: Pair, there: GraphRef) -> None:
    await pair.source.query(there, "RETURN 1", {}, row_limit=1, deadline_s=30)

    await pair.source.copies.set_state(there, GraphState.RETIRED, 1, deadline_s=S)

    with pytest.raises(WrongOwnerError):
        await pair.source.query(there, "RETURN 1", {}, row_limit=1, deadline_s=S)


async def test_a_copy_ends_with_its_release(pair: Pair, there: GraphRef) -> None:
    source = pair.source.copies
    [_ async for _ in source.copy(there, COPY, deadline_s=S)]

    for _ in range(2):
        await source.release_copy(there, COPY, deadline_s=S)

    with pytest.raises(CopyBrokenError):
        [_ async for _ in source.copy_tail(there, COPY, offset=0, deadline_s=S)]
    with pytest.raises(CopyBrokenError):
        [_ async for _ in source.copy(there, COPY, offset=1, deadline_s=S)]


async def test_a_copy_of_a_graph_that_is_written_much_ends(pair: Pair, there: GraphRef) -> None:
    source = pair.source.copies
    [_ async for _ in source.copy(there, COPY, deadline_s=S)]

    for number in range(4):
        await apply(pair.source, there, person(str(number), text="x" * 500_000))

    with pytest.raises(CopyBrokenError):
        [_ async for _ in source.copy_tail(there, COPY, offset=0, deadline_s=S)]


async def test_copies_are_few(pair: Pair, there: GraphRef) -> None:
    source = pair.source.copies
    for _ in range(2):
        [_ async for _ in source.copy(there, uuid.uuid4(), deadline_s=S)]

    with pytest.raises(ShardBusyError, match="SHARD_COPIES_MAX"):
        [_ async for _ in source.copy(there, COPY, deadline_s=S)]


async def test_a_copy_that_is_not_read_on_is_none(pair: Pair, there: GraphRef) -> None:
    """Nothing of a call stays but the copy itself, which goes on."""
    await apply(pair.source, there, *[person(str(number), text="x" * 900) for number in range(5_000)])
    for _ in range(5):
        async with aclosing(pair.source.copies.copy(there, COPY, deadline_s=S)) as parts:
            async for part in parts:
                assert not part.sha256
                break

    assert (await pipe(pair, there)).tail_size_bytes == 0


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(GraphInputError, match="active, sealed, retired"):
        state_of_pb("moved")


async def test_a_copy_that_nobody_goes_on_with_ends(opened: Opened, tmp_path: Path) -> None:
    ref = new_ref()
    async with shard_of(opened(tmp_path), shard_copy_hold_s=0.01) as shard:
        await shard.create(ref, deadline_s=S)
        [_ async for _ in shard.copies.copy(ref, COPY, deadline_s=S)]
        await asyncio.sleep(0.02)

        await shard.measure()

        assert shard.copies.count == 0
        with pytest.raises(CopyBrokenError):
            [_ async for _ in shard.copies.copy_tail(ref, COPY, offset=0, deadline_s=S)]


async def test_copies_end_with_their_shard(opened: Opened, tmp_path: Path) -> None:
    ref = new_ref()
    async with shard_of(opened(tmp_path)) as shard:
        await shard.create(ref, deadline_s=S)
        await apply(shard, ref, person("ada"))
        parts = shard.copies.copy(ref, COPY, deadline_s=S)
        first: CopyPart = await anext(parts)
        assert first.offset == 0

    await parts.aclose()
    async with shard_of(opened(tmp_path)) as again:
        assert await ids_of(again, ref) == ["ada"]
