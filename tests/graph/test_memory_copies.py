"""Shards in memory copy and move a graph as real ones do, as far as tests of those who move graphs ask them to."""

import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.errors import CopyBrokenError, WrongOwnerError
from argosy.graph.copies import Copies, CopyPart, CopySums
from argosy.graph.facts import NO_SOURCE, GraphRef, GraphState
from argosy.graph.ops import UpsertNode
from argosy.graph.transport import Transport
from tests.graph.memory_shards import MemoryShards

S = 5.0
COPY = uuid.UUID(int=9)


async def sent(parts: list[CopyPart]) -> AsyncIterator[CopyPart]:
    for part in parts:
        yield part


async def apply(shard: Transport, ref: GraphRef, node_id: str) -> None:
    ops = [UpsertNode(node_id, "Person")]
    await shard.apply(ref, ops, key=None, token=None, source=NO_SOURCE, deadline_s=S)


async def pipe(ref: GraphRef, source: Copies, target: Copies) -> CopySums:
    base = [part async for part in source.copy(ref, COPY, deadline_s=S)]
    tail = [part async for part in source.copy_tail(ref, COPY, offset=0, deadline_s=S)]

    await target.receive(ref, COPY, sent(base), deadline_s=S)
    await target.receive(ref, COPY, sent(tail), is_tail=True, deadline_s=S)
    return CopySums(base[-1].sha256, tail[-1].size_bytes, tail[-1].sha256)


async def test_a_graph_moves_with_what_was_written_while_it_was_copied() -> None:
    shards = MemoryShards("one", "two")
    one, two = (shards.to(member) for member in shards.members)
    ref = GraphRef("acme", "people", uuid.uuid4(), 1)
    await one.create(ref, deadline_s=S)
    await apply(one, ref, "ada")
    await pipe(ref, one.copies, two.copies)
    await apply(one, ref, "bob")

    sealed = await one.copies.set_state(ref, GraphState.SEALED, 1, deadline_s=S)
    with pytest.raises(WrongOwnerError):
        await apply(one, ref, "eve")
    sums = await pipe(ref, one.copies, two.copies)
    await two.copies.land(ref, COPY, sums, sealed, deadline_s=S)
    await one.copies.set_state(ref, GraphState.RETIRED, 1, deadline_s=S)
    await two.copies.activate(ref, COPY, 2, deadline_s=S)
    late = await one.copies.set_state(ref, GraphState.SEALED, 1, deadline_s=S)

    assert late.state is GraphState.RETIRED
    with pytest.raises(WrongOwnerError):
        await one.get_nodes(ref, ["ada"], deadline_s=S)
    assert None not in await two.get_nodes(ref._replace(generation=2), ["ada", "bob"], deadline_s=S)


async def test_what_was_abandoned_does_not_land() -> None:
    shards = MemoryShards("one", "two")
    one, two = (shards.to(member) for member in shards.members)
    ref = GraphRef("acme", "people", uuid.uuid4(), 1)
    await one.create(ref, deadline_s=S)
    sums = await pipe(ref, one.copies, two.copies)

    await two.copies.abandon(ref, deadline_s=S)

    with pytest.raises(WrongOwnerError):
        await two.copies.land(ref, COPY, sums, deadline_s=S)


async def test_a_copy_that_has_ended_has_no_tail() -> None:
    shards = MemoryShards("one")
    one = shards.to(shards.members[0])
    ref = GraphRef("acme", "people", uuid.uuid4(), 1)
    await one.create(ref, deadline_s=S)
    [_ async for _ in one.copies.copy(ref, COPY, deadline_s=S)]

    await one.copies.release_copy(ref, COPY, deadline_s=S)

    with pytest.raises(CopyBrokenError):
        [_ async for _ in one.copies.copy_tail(ref, COPY, offset=0, deadline_s=S)]
