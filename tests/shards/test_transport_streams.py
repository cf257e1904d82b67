"""What every transport holds of streams: loads that are whole or nothing, exports, and restores of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from argosy.errors import (
    GraphDeadlineError,
    GraphInputError,
    ShardBusyError,
)
from argosy.graph.facts import Applied, GraphRef, Source
from argosy.graph.ops import Op
from argosy.graph.transport import Transport
from tests.shards.engines import NO_SOURCE, Opened, knows, person
from tests.shards.shards import S, apply, ids_of, sent, shard_of
from tests.shards.transports import *  # noqa: F403


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
