"""Searches, summaries and recalls through a shard: in this process and over gRPC."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from argosy.errors import GraphInputError
from argosy.graph.facts import GraphRef, Hit, LabelCount, Neighborhood, Source
from argosy.graph.fusion import OFFSET
from argosy.graph.ops import UpsertNode
from argosy.graph.recall import recall
from argosy.graph.transport import Transport
from tests.shards.engines import Opened, knows, new_ref, person
from tests.shards.served import shard_over_grpc
from tests.shards.shards import S, apply, shard_of


@pytest.fixture(params=[shard_of, shard_over_grpc], ids=["in process", "over gRPC"])
async def transport(request: pytest.FixtureRequest, opened: Opened, tmp_path: Path) -> AsyncIterator[Transport]:
    async with request.param(opened(tmp_path)) as transport:
        yield transport


@pytest.fixture
async def ref(transport: Transport) -> GraphRef:
    ref = new_ref()
    await transport.create(ref, deadline_s=S)
    return ref


class Bound:
    """A transport with its graph."""

    def __init__(self, transport: Transport, ref: GraphRef) -> None:
        self._transport = transport
        self._ref = ref

    async def search(
        self,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float | None = None,
    ) -> list[Hit]:
        return await self._transport.search(self._ref, text, vector=vector, limit=limit, deadline_s=S)

    async def neighbors(self, ids: Sequence[str], *, limit: int, deadline_s: float | None = None) -> Neighborhood:
        return await self._transport.neighbors(self._ref, ids, limit=limit, deadline_s=S)


def note(node_id: str, text: str, *vector: float) -> UpsertNode:
    return UpsertNode(node_id, "Note", {"text": text}, vectors={"e": list(vector)} if vector else None)


async def test_what_text_and_vector_find_comes_before_what_one_of_them_finds(
    transport: Transport, ref: GraphRef
) -> None:
    await apply(
        transport, ref, note("text", "ships"), note("vector", "cats", 1, 0), note("both", "ships at sea", 0.9, 0.1)
    )

    async def found(text: str, *vector: float) -> list[str]:
        near = ("e", vector) if vector else None
        return [hit.node.id for hit in await transport.search(ref, text, vector=near, limit=3, deadline_s=S)]

    first, *others = await found("ships", 1, 0)
    assert (first, sorted(others)) == ("both", ["text", "vector"])
    assert sorted(await found("ships")) == ["both", "text"]
    assert await found("", 1, 0) == ["vector", "both"]
    assert await found("?!") == []
    hits = await transport.search(ref, "ships", vector=("e", [1, 0]), limit=1, deadline_s=S)
    assert hits[0].score == pytest.approx(2 / (OFFSET + 2), rel=0.05)


async def test_a_vector_of_another_dimension_is_refused_with_the_reason(transport: Transport, ref: GraphRef) -> None:
    await apply(transport, ref, note("ada", "", 1, 0))

    with pytest.raises(GraphInputError, match=r"vectors.e of node 'bob' has 3 numbers, .* have 2"):
        await apply(transport, ref, note("bob", "", 1, 0, 0))
    with pytest.raises(GraphInputError, match="has 2 numbers in this graph, not 3"):
        await transport.search(ref, "", vector=("e", [1, 0, 0]), limit=1, deadline_s=S)


async def test_a_summary_arrives(transport: Transport, ref: GraphRef) -> None:
    await apply(transport, ref, person("ada", born=1815), person("日本"), knows("ada", "日本", since=1))

    summary = await transport.summary(ref, deadline_s=S)

    assert summary.nodes == [LabelCount("Person", 2, [("born", 1)])]
    assert summary.edges == [LabelCount("KNOWS", 1, [("since", 1)])]


async def test_a_recall_says_what_is_linked_and_who_wrote_it(transport: Transport, ref: GraphRef) -> None:
    await apply(transport, ref, person("ada", likes="C++"), person("bob"), source=Source("turn-1", "remember"))
    await apply(transport, ref, knows("ada", "bob"), source=Source("turn-2", "link"))

    recalled = await recall(Bound(transport, ref), "who likes C++?", 200)

    assert set(recalled.text.split("\n")) == {'Person ada {"likes":"C++"}', "Person bob", "ada -KNOWS-> bob"}
    assert {fact.source for fact in recalled.facts if len(fact.ids) == 2} == {Source("turn-2", "link")}
