"""What is too large for a message crosses in many, in bounded memory, and is never taken for whole when it is not."""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import pytest

from argosy.errors import GraphDeadlineError, GraphInputError, OutcomeUnknownError, WrongOwnerError
from argosy.graph.facts import GraphRef, Source
from argosy.graph.ops import Op
from argosy.shards.engine import Engine
from tests.shards.engines import NO_SOURCE, knows, new_ref, person
from tests.shards.served import S, Served, serving

SOURCE = Source("turn-1", "step-1")
MIB = 1_048_576


@pytest.fixture
async def served(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as served:
        yield served


async def batches_of(*batches: Sequence[Op]) -> AsyncIterator[Sequence[Op]]:
    for batch in batches:
        yield batch


async def test_a_bulk_load_is_applied_whole(served: Served, ref: GraphRef) -> None:
    shard = served.transport()
    edges: list[Op] = [knows(str(n), str(n + 1)) for n in range(499)]
    nodes: list[Op] = [person(str(n), n=n) for n in range(500)]

    applied = await shard.bulk_load(ref, batches_of(edges, nodes), source=SOURCE, deadline_s=S)

    stats = await shard.stats(ref, deadline_s=S)
    assert (applied.failed, stats.node_count, stats.edge_count) == (-1, 500, 499)


async def test_a_bulk_load_whose_source_fails_changes_nothing(served: Served, ref: GraphRef) -> None:
    async def failing() -> AsyncIterator[Sequence[Op]]:
        yield [person("ada")]
        raise LookupError("the source is gone")

    with pytest.raises(LookupError, match="the source is gone"):
        await served.transport().bulk_load(ref, failing(), source=NO_SOURCE, deadline_s=S)

    assert await served.transport().get_nodes(ref, ["ada"], deadline_s=S) == [None]


async def test_a_bulk_load_with_an_invalid_operation_changes_nothing(served: Served, ref: GraphRef) -> None:
    with pytest.raises(GraphInputError):
        await served.transport().bulk_load(
            ref, batches_of([person("ada")], [person("")]), source=NO_SOURCE, deadline_s=S
        )

    assert await served.transport().get_nodes(ref, ["ada"], deadline_s=S) == [None]


async def test_a_load_that_is_refused_while_it_is_sent_is_told_why(served: Served) -> None:
    taken = 0

    async def endless() -> AsyncIterator[Sequence[Op]]:
        nonlocal taken
        while True:
            taken += 1
            yield [person(str(n), text="x" * 10_000) for n in range(50)]

    for _ in range(5):
        with pytest.raises(WrongOwnerError):
            await served.transport().bulk_load(new_ref(), endless(), source=NO_SOURCE, deadline_s=S)

    assert taken < 200


async def test_a_load_that_is_refused_while_its_source_is_silent_is_told_why(served: Served) -> None:
    async def silent() -> AsyncIterator[Sequence[Op]]:
        yield [person("ada")]
        await asyncio.Event().wait()

    with pytest.raises(WrongOwnerError):
        await served.transport().bulk_load(new_ref(), silent(), source=NO_SOURCE, deadline_s=S)


async def test_lines_arrive_as_they_are_in_parts_of_any_size(served: Served, ref: GraphRef) -> None:
    parts = [b"header\n", b"x" * (3 * MIB), b"\n", b"", b"\xff\x00\n" * 1_000, b"end\n"]
    served.shard.exports = bytes_of(parts)
    shard = served.transport()

    await shard.restore(ref, shard.export(ref, deadline_s=S), deadline_s=S)

    assert b"".join(served.shard.restored) == b"".join(parts)
    assert max(map(len, served.shard.restored)) == MIB


async def bytes_of(parts: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


@pytest.mark.parametrize("parts", [[], [b""]])
async def test_an_export_without_lines_has_an_end(served: Served, ref: GraphRef, parts: list[bytes]) -> None:
    served.shard.exports = bytes_of(parts)

    assert [part async for part in served.transport().export(ref, deadline_s=S)] == []


async def test_fifty_megabytes_cross_in_bounded_memory(served: Served, ref: GraphRef) -> None:
    async def fifty() -> AsyncGenerator[bytes, None]:
        for _ in range(200):
            yield os.urandom(MIB // 4 - 1) + b"\n"

    served.shard.exports = fifty()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size_bytes = 0

    async for chunk in served.transport().export(ref, deadline_s=60.0):
        size_bytes += len(chunk)

    assert size_bytes == 50 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 25 * 1_024  # of both sides


async def test_a_shard_waits_for_a_caller_that_reads_slowly(served: Served, ref: GraphRef) -> None:
    taken = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(MIB)

    served.shard.exports = endless()
    shard = served.transport()
    export = shard.export(ref, deadline_s=60.0)

    await anext(export)
    for _ in range(100):  # after each of which the export could go on
        await shard.get_nodes(ref, ["ada"], deadline_s=S)

    assert taken < 20
    await served.close()


async def test_a_caller_that_stops_reading_ends_the_call(served: Served, ref: GraphRef) -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield bytes(MIB)
        finally:
            ended.set()

    served.shard.exports = endless()

    async with contextlib.aclosing(served.transport().export(ref, deadline_s=60.0)) as export:
        await anext(export)

    await asyncio.wait_for(ended.wait(), 5)


async def test_a_load_whose_source_is_slow_ends_at_its_deadline(served: Served, ref: GraphRef) -> None:
    async def silent() -> AsyncIterator[Sequence[Op]]:
        yield [person("ada")]
        await asyncio.Event().wait()

    with pytest.raises(GraphDeadlineError):
        await served.transport().bulk_load(ref, silent(), source=NO_SOURCE, deadline_s=0.3)

    assert await served.transport().get_nodes(ref, ["ada"], deadline_s=S) == [None]


async def test_a_write_that_was_cut_off_may_have_taken_effect(engine: Engine, ref: GraphRef) -> None:
    async with serving(engine) as served:
        begun = asyncio.Event()

        async def waiting() -> AsyncIterator[Sequence[Op]]:
            yield [person("ada")]
            begun.set()
            await asyncio.Event().wait()

        load = asyncio.create_task(served.transport().bulk_load(ref, waiting(), source=NO_SOURCE, deadline_s=S))
        await begun.wait()
        await served.server.stop(0)

        with pytest.raises(OutcomeUnknownError):
            await load
