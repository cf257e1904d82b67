"""Vectors that are made of what a workflow writes: before it is recorded, and not again."""

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from argosy import Context, StepFailedError
from argosy.config import Settings
from argosy.graph.embedder import Embedder
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

ADA = {"id": "ada", "label": "Person", "props": {"is": "physician"}}
OWN = "session:default/customer-1"


class Model:
    """What EMBEDDER names. texts: what it got; fails_with: what its next calls raise."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fails_with: list[Exception] = []

    async def __call__(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        if self.fails_with:
            raise self.fails_with.pop()
        return [[len(text), 0.1] for text in texts]


def graphs_with(function: Callable[[list[str]], Any]) -> MemoryGraphs:
    graphs = MemoryGraphs()
    graphs.embedder = Embedder(function, Settings())
    return graphs


def journal(graphs: MemoryGraphs, rows: list[Any] | None = None, attempt: int = 1) -> ListJournal:
    made = ListJournal(rows, attempt=attempt)
    made.shards = graphs
    return made


async def remember(ctx: Context) -> Any:
    return await ctx.graph().upsert_nodes([ADA])


async def test_a_node_s_vector_is_recorded_beside_what_was_asked_for_and_sent_with_it() -> None:
    model = Model()
    graphs = graphs_with(model)
    told = journal(graphs)

    await run(remember, None, told)

    intent = told.data("step.intended", "graph:write")
    (sent,) = msgspec.json.decode(graphs.sent[0][1])
    assert model.texts == ["Person ada\nphysician"]
    assert (intent["ops"], intent["made"]["name"]) == ([{"op": "upsert_node", **ADA}], "text")
    (tenth,) = struct.unpack("f", struct.pack("f", 0.1))
    assert (sent["vectors"], sent["keep_vectors"]) == ({"text": [20.0, tenth]}, True)


async def test_no_vector_tells_of_the_text_of_a_sealed_graph() -> None:
    model = Model()
    graphs = graphs_with(model)
    graphs.are_sealed = True
    told = journal(graphs)

    await run(remember, None, told)

    (sent,) = msgspec.json.decode(graphs.sent[0][1])
    assert model.texts == []
    assert sent == {"op": "upsert_node", **ADA}
    assert "made" not in told.data("step.intended", "graph:write")


async def test_a_write_that_is_sent_again_has_the_vectors_that_were_recorded_and_nobody_makes_them_again() -> None:
    model = Model()
    graphs = graphs_with(model)
    first = journal(graphs)
    await run(remember, None, first)
    crashed = first.rows[:1]  # after it was recorded

    graphs.embedder = Embedder(lambda texts: [[7.0]], Settings())  # another model
    assert await run(remember, None, journal(graphs, crashed, 2)) == 1
    graphs.embedder = None
    assert await run(remember, None, journal(graphs, crashed, 3)) == 1
    assert await run(remember, None, journal(graphs, first.rows, 4)) == 1

    assert len(model.texts) == 1
    assert len({(ops, key) for _, ops, key, _ in graphs.sent}) == 1
    assert graphs.graphs["default", OWN].version == 1


async def test_a_turn_that_ends_before_its_write_is_recorded_has_the_vectors_made_again() -> None:
    model = Model()
    graphs = graphs_with(model)

    for attempt in (1, 2):
        assert await run(remember, None, journal(graphs, [], attempt)) == 1

    assert len(model.texts) == 2


async def test_a_node_whose_text_is_changed_gets_a_vector_of_what_it_then_says() -> None:
    async def flow(ctx: Context) -> Any:
        people = ctx.graph()
        await people.upsert_nodes([ADA])
        await people.merge_props("ada", {"is": "sailor"})
        await people.merge_props("ada", {"seen": 7})

    model = Model()
    graphs = graphs_with(model)
    await run(flow, None, journal(graphs))

    assert model.texts == ["Person ada\nphysician", "Person ada\nsailor"]
    assert ["vectors" in msgspec.json.decode(ops)[0] for _, ops, *_ in graphs.sent] == [True, True, False]


async def test_what_has_no_text_asks_for_no_vector() -> None:
    async def forget(ctx: Context) -> Any:
        return await ctx.graph().delete("ada")

    model = Model()
    told = journal(graphs_with(model))
    await run(forget, None, told)

    assert model.texts == []
    assert "made" not in told.data("step.intended", "graph:write")


async def test_a_model_that_is_away_makes_the_turn_wait_and_spends_no_retries() -> None:
    model = Model()
    model.fails_with = [ConnectionError("refused")] * 40
    told = journal(graphs_with(model))

    assert await run(remember, None, told) == 1

    assert [kind for _, kind, *_ in told.waits] == ["retry"] * 40
    assert [kind for kind, _ in told.outcomes()].count("step.intended") == 1


@pytest.mark.parametrize("is_wrong", [False, True], ids=["raises", "answers wrongly"])
async def test_a_model_that_fails_is_asked_a_few_times_however_often_the_turn_begins_again(is_wrong: bool) -> None:
    calls: list[list[str]] = []

    def fail(texts: list[str]) -> Any:
        calls.append(texts)
        if is_wrong:
            return None
        raise KeyError("model")

    graphs = graphs_with(fail)
    told = journal(graphs)
    with pytest.raises(StepFailedError, match="EMBEDDER") as failed:
        await run(remember, None, told)
    third = [kind for kind, _ in told.outcomes()].index("step.failed") - 3
    again = journal(graphs, told.rows[:third], 2)
    with pytest.raises(StepFailedError):
        await run(remember, None, again)

    assert failed.value.error_type == "EmbedderError"
    assert [kind for kind, _ in told.outcomes()].count("step.retrying") == 4
    assert told.outcomes() == again.outcomes()
    assert graphs.sent == []


async def test_a_model_that_failed_for_a_moment_fails_nothing() -> None:
    model = Model()
    model.fails_with = [KeyError("model")] * 4

    assert await run(remember, None, journal(graphs_with(model))) == 1


async def test_vectors_count_for_the_bound_of_what_is_recorded() -> None:
    graphs = graphs_with(lambda texts: [[1.0] * 4_000])
    told = journal(graphs)
    told.bounds.value_size_bytes_max = 10_000

    with pytest.raises(StepFailedError, match=r"with the vectors of their texts, .* in several batches"):
        await run(remember, None, told)

    assert graphs.sent == []
