"""Recall finds what a graph has about a text, and what is linked to it, within a budget."""

import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from argosy.errors import GraphInputError, GraphTooLargeError
from argosy.graph.facts import Direction, Edge, GraphRef, Hit, Neighborhood, Node, Source
from argosy.graph.ops import Op, UpsertEdge, UpsertNode
from argosy.graph.recall import NEIGHBORS_MAX, Recalled, rank, recall
from argosy.graph.tokens import estimate_tokens
from argosy.shards.engine import Engine
from tests.shards.engines import NOW_MS, never, open_sqlite


class KnownGraph:
    """A graph in an engine, asked as a graph of a shard is. asked: which questions."""

    def __init__(self, engine: Engine) -> None:
        self._ref = GraphRef("acme", "memory", uuid.uuid4(), 1)
        engine.create(self._ref)
        self._graph = engine.graph(self._ref)
        self.asked: list[str] = []
        self.is_dense = False

    def apply(self, *ops: Op, turn: str = "turn-1", step: str = "remember") -> None:
        applied = self._graph.apply(self._ref, ops, key=None, token=None, source=Source(turn, step), now_ms=NOW_MS)
        assert applied.version > 0, applied

    async def search(
        self,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float | None = None,
    ) -> list[Hit]:
        self.asked.append("search")
        if vector is not None:
            return self._graph.nearest(self._ref, *vector, limit, never)
        return self._graph.search(self._ref, text, limit, never)

    async def neighbors(self, ids: Sequence[str], *, limit: int, deadline_s: float | None = None) -> Neighborhood:
        self.asked.append("neighbors")
        if self.is_dense:
            raise GraphTooLargeError("too large")
        return self._graph.neighbors(
            self._ref, ids, types=(), direction=Direction.BOTH, depth=1, limit=limit, interrupt=never
        )


@pytest.fixture
async def graph(tmp_path: Path) -> AsyncIterator[KnownGraph]:
    engine = open_sqlite(tmp_path)
    yield KnownGraph(engine)
    engine.close()


def lines(recalled: Recalled) -> list[str]:
    return recalled.text.split("\n")


def remember_ada(graph: KnownGraph) -> None:
    graph.apply(
        UpsertNode("ada", "Customer", {"name": "Ada", "likes": "C++"}),
        UpsertNode("order-7", "Order", {"state": "lost"}),
        UpsertNode("bob", "Customer", {"name": "Bob"}),
        UpsertNode("zoe", "Customer", {"name": "Zoe"}),
        UpsertEdge("ada", "PLACED", "order-7"),
        UpsertEdge("zoe", "KNOWS", "bob"),
    )


async def test_what_is_linked_to_what_is_found_is_recalled(graph: KnownGraph) -> None:
    remember_ada(graph)

    recalled = await recall(graph, "Where is the order of Ada?", 500)

    assert lines(recalled)[0] in ('Customer ada {"name":"Ada","likes":"C++"}', 'Order order-7 {"state":"lost"}')
    assert set(lines(recalled)) == {
        'Customer ada {"name":"Ada","likes":"C++"}',
        'Order order-7 {"state":"lost"}',
        "ada -PLACED-> order-7",
    }
    assert not recalled.is_cut
    assert graph.asked == ["search", "neighbors"]


async def test_every_fact_says_which_turn_and_step_wrote_it(graph: KnownGraph) -> None:
    graph.apply(UpsertNode("ada", "Customer"), turn="turn-1", step="a")
    graph.apply(UpsertNode("bob", "Customer"), turn="turn-2", step="b")
    graph.apply(UpsertEdge("ada", "KNOWS", "bob"), turn="turn-3", step="c")

    recalled = await recall(graph, "ada", 500)

    assert {fact.ids: fact.source for fact in recalled.facts} == {
        ("ada",): Source("turn-1", "a"),
        ("bob",): Source("turn-2", "b"),
        ("ada", "bob"): Source("turn-3", "c"),
    }
    assert [fact.text for fact in recalled.facts] == lines(recalled)


async def test_facts_are_trimmed_to_the_budget(graph: KnownGraph) -> None:
    graph.apply(*[UpsertNode(f"n{number}", "Note", {"text": "about ships " * (number + 1)}) for number in range(20)])

    for budget in (1, 2, 10, 50, 200, 1_000, 100_000):
        recalled = await recall(graph, "ships", budget)
        assert estimate_tokens(recalled.text) <= recalled.tokens <= budget
        assert len(recalled.facts) == 20 or recalled.is_cut
        assert budget < 10 or len(recalled.facts) >= 1


async def test_a_long_fact_leaves_room_for_others(graph: KnownGraph) -> None:
    graph.apply(
        UpsertNode("ships", "Note", {"text": "ships " * 100_000}), *[UpsertNode(f"ships-{n}", "Note") for n in range(3)]
    )

    recalled = await recall(graph, "ships", 60)

    assert len(recalled.facts) == 4


@pytest.mark.parametrize(("length", "budget"), [(1_000, 200), (10_000, 10_000)], ids=["by the budget", "by its line"])
async def test_a_fact_that_was_shortened_is_said_to_be(graph: KnownGraph, length: int, budget: int) -> None:
    graph.apply(UpsertNode("ship", "Note", {"text": "ship" + "s" * length}))

    whole, shortened = await recall(graph, "ship", 100_000), await recall(graph, "ship", budget)

    assert [len(each.facts) for each in (whole, shortened)] == [1, 1]
    assert whole.is_cut is (length > 2_000)
    assert shortened.is_cut


async def test_nothing_is_recalled_about_what_is_not_known(graph: KnownGraph) -> None:
    remember_ada(graph)

    assert await recall(graph, "?! unknown", 500) == Recalled("", [], 0, False)
    assert graph.asked == ["search"]


async def test_a_vector_recalls_without_any_word(graph: KnownGraph) -> None:
    graph.apply(UpsertNode("ada", "Customer", vectors={"face": [1, 0]}), UpsertNode("bob", "Customer"))

    recalled = await recall(graph, "", 500, vector=("face", [1, 0]))

    assert lines(recalled) == ["Customer ada"]


async def test_a_node_that_everybody_knows_is_recalled_in_part(graph: KnownGraph) -> None:
    count = 3 * NEIGHBORS_MAX
    graph.apply(UpsertNode("hub", "Hub"), *[UpsertNode(f"n{number}", "Leaf") for number in range(count)])
    graph.apply(*[UpsertEdge(f"n{number}", "OF", "hub") for number in range(count)])

    recalled = await recall(graph, "hub", 100_000)

    assert recalled.is_cut
    assert len(recalled.facts) <= 2 * NEIGHBORS_MAX
    assert lines(recalled)[0] == "Hub hub"


async def test_what_was_found_is_recalled_when_what_is_around_is_too_large(graph: KnownGraph) -> None:
    remember_ada(graph)
    graph.is_dense = True

    recalled = await recall(graph, "ada", 500)

    assert lines(recalled) == ['Customer ada {"name":"Ada","likes":"C++"}']
    assert recalled.is_cut


@pytest.mark.parametrize("budget", [0, -1, 100_001])
async def test_a_budget_has_bounds(graph: KnownGraph, budget: int) -> None:
    with pytest.raises(GraphInputError, match="budget_tokens is 1 to 100000"):
        await recall(graph, "ada", budget)


def test_what_is_linked_to_several_hits_comes_before_what_is_linked_to_one() -> None:
    nodes = {name: Node(name, "N", b"{}", 1, Source()) for name in ("a", "b", "both", "one")}
    edges = [Edge(src, "TO", dst, b"{}", 1, Source()) for src, dst in (("a", "one"), ("a", "both"), ("b", "both"))]

    facts = rank([nodes["a"], nodes["b"]], Neighborhood(list(nodes.values()), edges, False))

    assert [fact.ids[0] for fact in facts if len(fact.ids) == 1].index("both") < 3
    assert [fact.ids for fact in facts if len(fact.ids) == 1][-1] == ("one",)
    assert [fact.score for fact in facts] == sorted((fact.score for fact in facts), reverse=True)
