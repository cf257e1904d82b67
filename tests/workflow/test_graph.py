"""ctx.graph: what is recorded of reads and writes, in which order, and what a replay sees of them."""

import asyncio
from typing import Any

import pytest

from argosy import (
    Context,
    Graph,
    GraphConditionError,
    StepFailedError,
    SyncContext,
    SyncGraph,
    workflow,
)
from argosy.errors import (
    CypherError,
    FencedError,
    GraphInputError,
    GraphNameError,
    GraphNotFoundError,
)
from argosy.graph.facts import FencingToken
from argosy.graph.ops import NESTING_MAX
from argosy.workflow.journal import Park
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.graph_flows import ADA, BOB, OWN, journal, nested, remember
from tests.workflow.running import SIZE_BYTES_MAX, run


async def test_a_write_is_recorded_then_durable_then_applied_then_its_outcome_is_recorded() -> None:
    graphs = MemoryGraphs()
    told = journal(graphs)
    graphs.while_applied = lambda: told.calls.append(("applied", ""))

    version = await run(remember, None, told)

    assert version == 1
    assert told.calls == [
        ("ready", "graph:write"), ("step.intended", "graph:write"), ("durable", ""), ("applied", ""),
        ("step.completed", "graph:write"),
    ]  # fmt: skip
    intent = told.data("step.intended", "graph:write")
    assert ("graph" in intent, intent["ops"]) == (False, [{"op": "upsert_node", **ADA}])
    assert told.data("step.completed", "graph:write")["result"] == {"version": 1}


async def test_a_fact_carries_the_turn_and_the_step_that_wrote_it() -> None:
    async def flow(ctx: Context) -> Any:
        graph = ctx.graph()
        await graph.upsert_nodes([ADA])
        return await graph.get("ada")

    told = journal(MemoryGraphs())
    found = await run(flow, None, told)

    source = {"turn_id": str(told.turn_id), "step_key": "graph:write"}
    assert found == {"id": "ada", "label": "Person", "props": {"born": 1815}, "version": 1, "source": source}


async def test_reads_are_recorded_and_a_replay_asks_nothing() -> None:
    graphs = MemoryGraphs()

    async def flow(ctx: Context) -> Any:
        graph = ctx.graph()
        await graph.upsert_nodes([ADA, BOB])
        await graph.upsert_edges([{"src": "ada", "type": "KNOWS", "dst": "bob", "props": {"since": 2**62}}])
        around = await graph.neighbors("ada", types=["KNOWS"], direction="out")
        rows = (await graph.query("MATCH (n) RETURN n.id"))["rows"]
        found = [hit["node"]["id"] for hit in await graph.search("1815")]
        return [around["edges"][0]["props"], rows, found, await graph.summary(), await graph.get(["bob", "cy"])]

    first = journal(graphs)
    answered = await run(flow, None, first)
    asked = graphs.asked
    again = await run(flow, None, journal(graphs, first.rows, 2))

    assert answered[:3] == [{"since": 2**62}, [["ada"], ["bob"]], ["ada"]]
    assert answered[3] == {
        "nodes": [{"label": "Person", "total": 2, "props": {}}],
        "edges": [],
        "text": "Nodes: Person 2\nEdges: none",
    }
    assert answered[4][0]["id"] == "bob"
    assert answered[4][1] is None
    assert again == answered
    assert graphs.asked == asked


async def test_a_turn_reads_the_deepest_props_that_there_can_be() -> None:
    deepest = {"x": nested(NESTING_MAX - 1)}

    async def flow(ctx: Context) -> Any:
        graph = ctx.graph()
        await graph.upsert_nodes([{**ADA, "props": deepest}])
        around = await graph.neighbors("ada")
        hits = await graph.search("ada")
        return [await graph.get("ada"), around["nodes"][0], *(hit["node"] for hit in hits)]

    found = await run(flow, None, journal(MemoryGraphs()))

    assert [node["props"] for node in found] == [deepest] * len(found)


async def test_what_is_recalled_says_which_turn_and_step_wrote_it() -> None:
    async def flow(ctx: Context) -> Any:
        graph = ctx.graph()
        await graph.upsert_nodes([ADA, BOB])
        await graph.upsert_edges([{"src": "ada", "type": "KNOWS", "dst": "bob"}])
        return await graph.recall("1815", 100)

    told = journal(MemoryGraphs())
    recalled = await run(flow, None, told)

    assert recalled["text"].splitlines()[0] == 'Person ada {"born":1815}'
    assert "ada -KNOWS-> bob" in recalled["text"]
    assert [fact["source"]["step_key"] for fact in recalled["facts"] if fact["ids"] == ["ada", "bob"]] == [
        "graph:write#2"
    ]


async def test_the_session_s_own_graph_is_made_by_what_asks_first_and_is_the_session_s() -> None:
    async def flow(ctx: Context) -> Any:
        return await ctx.graph().get("ada")

    graphs = MemoryGraphs()
    told = journal(graphs)

    assert await run(flow, None, told) is None
    assert graphs.graphs["default", OWN].session_id == told.token.session_id


async def test_another_graph_is_made_by_a_write_and_not_by_a_read() -> None:
    async def flow(ctx: Context) -> Any:
        graph = ctx.graph("日本")
        try:
            await graph.get("ada")
        except StepFailedError as error:
            return [error.error_type, await graph.upsert_nodes([ADA])]

    graphs = MemoryGraphs()

    assert await run(flow, None, journal(graphs)) == ["GraphNotFoundError", 1]
    assert graphs.graphs["default", "日本"].session_id is None


async def test_the_session_s_own_graph_is_the_session_s_by_its_name_too() -> None:
    async def flow(ctx: Context) -> Any:
        return [await ctx.graph(OWN).get("ada"), await ctx.graph(OWN).upsert_nodes([ADA])]

    graphs = MemoryGraphs()
    told = journal(graphs)

    assert await run(flow, None, told) == [None, 1]
    assert graphs.graphs["default", OWN].session_id == told.token.session_id


@pytest.mark.parametrize("name", [".", "..", "", "a\nb"])
async def test_a_name_that_no_graph_can_have_is_refused_where_it_is_asked_for(name: str) -> None:
    async def flow(ctx: Context) -> Any:
        await ctx.graph(name).get("ada")

    with pytest.raises(GraphNameError, match="the name of a graph"):
        await run(flow, None, journal(MemoryGraphs()))


async def test_what_a_crash_leaves_open_is_sent_again_as_it_was_recorded_and_applied_once() -> None:
    graphs = MemoryGraphs()
    first = journal(graphs)
    await run(remember, None, first)
    first.rows.pop()  # the outcome was not durable yet

    again = journal(graphs, first.rows, 2)
    assert await run(remember, None, again) == 1

    assert len(graphs.sent) == 2
    assert graphs.sent[0][:3] == graphs.sent[1][:3]
    assert [token and token.attempt for *_, token in graphs.sent] == [1, 2]
    assert graphs.graphs["default", OWN].version == 1
    assert [kind for kind, _ in again.outcomes()] == ["step.intended", "step.completed"]


async def test_code_that_asks_for_other_operations_has_the_recorded_ones_applied_and_is_parked() -> None:
    async def other(ctx: Context) -> Any:
        return await ctx.graph().upsert_nodes([BOB])

    graphs = MemoryGraphs()
    crashed = journal(graphs)
    await run(remember, None, crashed)

    after = journal(graphs, crashed.rows[:1], 2)
    with pytest.raises(Park, match="'graph:write' with arguments of digest") as park:
        await run(other, None, after)
    still = journal(graphs, after.rows, 3)
    with pytest.raises(Park):
        await run(other, None, still)

    assert park.value.reason == "history_mismatch"
    assert list(graphs.graphs["default", OWN].nodes) == ["ada"]
    assert await run(remember, None, journal(graphs, after.rows, 4)) == 1


@pytest.mark.parametrize("is_retried", [False, True])
async def test_code_that_does_not_ask_for_a_recorded_write_parks_the_turn_before_it_does_anything_else(
    is_retried: bool,
) -> None:
    """The write may have been applied. Nobody but the code that asks for it can send it, and record what it came to."""

    async def writes(ctx: Context) -> Any:
        await ctx.now()
        return await ctx.graph().upsert_nodes([ADA])

    async def reads(ctx: Context) -> Any:
        await ctx.now()
        return await ctx.graph("another").get("ada")

    async def returns(ctx: Context) -> Any:
        await ctx.now()

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    if is_retried:
        graphs.go_down(1)
    crashed = journal(graphs)
    await run(writes, None, crashed)
    kinds = [row[2] for row in crashed.rows]
    begun = crashed.rows[: kinds.index("step.retrying" if is_retried else "step.intended") + 1]

    for changed, instead in ((reads, "asks for 'graph:get'"), (returns, "returned")):
        after = journal(graphs, begun, 2)
        with pytest.raises(Park, match=rf"the beginning of 'graph:write', .* {instead}") as park:
            await run(changed, None, after)
        assert park.value.reason == "history_mismatch"
        assert after.rows == begun
    assert await run(writes, None, journal(graphs, begun, 3)) == 1
    assert graphs.graphs["default", OWN].version == 1


async def test_a_recorded_write_that_the_code_gives_up_again_parks_nothing() -> None:
    async def flow(ctx: Context) -> Any:
        try:
            async with asyncio.timeout(1):
                await ctx.graph().upsert_nodes([ADA])
        except TimeoutError:
            return "gave up"

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.go_down()
    first = journal(graphs)
    assert await run(flow, None, first) == "gave up"
    given_up = [row for row in first.rows if row[2] not in ("step.cancelled", "wait.cancelled")]

    assert await run(flow, None, journal(graphs, given_up, 2)) == "gave up"


async def test_a_write_never_reaches_a_graph_of_the_same_name_that_was_made_later() -> None:
    graphs = MemoryGraphs()
    first = journal(graphs)
    await run(remember, None, first)
    graphs.drop("default", OWN)
    await graphs.create("default", OWN)

    with pytest.raises(StepFailedError, match="there is no graph") as failed:
        await run(remember, None, journal(graphs, first.rows[:1], 2))

    assert failed.value.error_type == GraphNotFoundError.__name__
    assert graphs.graphs["default", OWN].nodes == {}


async def test_a_condition_that_does_not_hold_is_an_outcome_and_nothing_is_applied() -> None:
    async def flow(ctx: Context) -> Any:
        graph = ctx.graph()
        await graph.upsert_nodes([ADA])
        try:
            await graph.upsert_nodes([BOB, {**ADA, "if_absent": True}])
        except GraphConditionError as error:
            return [error.failed, error.reason, str(error), await graph.get("bob")]

    graphs = MemoryGraphs()
    told = journal(graphs)
    seen = await run(flow, None, told)

    assert seen == [1, "it is there", "ops[1]: it is there", None]
    assert told.data("step.completed", "graph:write#2")["attempts"] == 1
    assert await run(flow, None, journal(graphs, told.rows, 2)) == seen


async def test_versions_let_one_of_two_writers_through() -> None:
    async def flow(ctx: Context) -> Any:
        graph = ctx.graph()
        version = await graph.upsert_nodes([ADA])
        first = await graph.merge_props("ada", {"born": None, "died": 1852}, if_version=version)
        try:
            await graph.delete("ada", if_version=version)
        except GraphConditionError as error:
            return [first, error.failed, (await graph.get("ada"))["props"]]  # type: ignore[index]

    assert await run(flow, None, journal(MemoryGraphs())) == [2, 0, {"died": 1852}]


async def test_a_later_attempt_fences_an_earlier_one_whose_attempt_ends() -> None:
    graphs = MemoryGraphs()
    old = journal(graphs)
    await run(remember, None, old)
    graphs.graphs["default", OWN].fences[old.token.session_id] = FencingToken(old.token.session_id, 2, 1, 2)

    async def more(ctx: Context) -> Any:
        graph = ctx.graph()
        await graph.upsert_nodes([ADA])
        try:
            await graph.upsert_nodes([BOB])
        except Exception as error:
            return f"the code must not hear of it: {error!r}"

    zombie = journal(graphs, old.rows)
    with pytest.raises(FencedError):
        await run(more, None, zombie)

    assert "bob" not in graphs.graphs["default", OWN].nodes
    assert zombie.outcomes()[-1] == ("step.intended", "graph:write#2")


async def test_without_shards_a_turn_fails_and_is_told_the_setting() -> None:
    told = journal(None)
    with pytest.raises(StepFailedError, match="GRAPH_SERVICE_ENDPOINTS") as failed:
        await run(remember, None, told)

    assert failed.value.error_type == "SettingError"
    assert [kind for kind, _ in told.outcomes()] == ["step.failed"]


async def test_a_turn_is_told_where_its_query_is_wrong() -> None:
    async def flow(ctx: Context) -> Any:
        return await ctx.graph().query("RETURN nope")

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.fails_with = CypherError("Undefined variable 'nope'", (1, 8))

    with pytest.raises(StepFailedError, match="line 1, column 8: Undefined variable 'nope'") as failed:
        await run(flow, None, journal(graphs))

    assert failed.value.error_type == "CypherError"


async def test_what_is_too_large_to_record_is_written_nowhere() -> None:
    async def flow(ctx: Context) -> Any:
        return await ctx.graph().upsert_nodes([{**ADA, "props": {"text": "x" * 2 * SIZE_BYTES_MAX}}])

    told = journal(MemoryGraphs())
    told.bounds.value_size_bytes_max = SIZE_BYTES_MAX
    with pytest.raises(StepFailedError, match="write them in several batches") as failed:
        await run(flow, None, told)

    assert failed.value.error_type == "PayloadTooLargeError"


@pytest.mark.parametrize(
    ("ops", "words"),
    [
        ([], "a batch has 1 to"),
        ([{**ADA, "props": {"x": float("nan")}}], "no JSON number"),
        ([{**ADA, "props": {"x": 2**63}}], "64 bits"),
        ([{**ADA, "props": {"x": nested(NESTING_MAX)}}], "nested deeper"),
        ([{**ADA, "colour": "red"}], "colour"),
        ([{"id": "ada"}], "label"),
        (["ada"], "ops: "),
    ],
)
async def test_operations_that_break_a_rule_are_refused_where_they_are_asked_for(ops: Any, words: str) -> None:
    async def flow(ctx: Context) -> Any:
        await ctx.graph().upsert_nodes(ops)

    told = journal(MemoryGraphs())
    with pytest.raises(GraphInputError, match=words):
        await run(flow, None, told)

    assert told.rows == []


async def test_a_synchronous_workflow_has_the_same_operations() -> None:
    @workflow
    def flow(ctx: SyncContext) -> Any:
        graph = ctx.graph("customers")
        graph.upsert_nodes([ADA, BOB])
        graph.upsert_edges([{"src": "ada", "type": "KNOWS", "dst": "bob"}])
        graph.delete(("ada", "KNOWS", "bob"))
        version = graph.merge_props("bob", {"age": 7})
        graph.apply([{"op": "delete_node", "id": "ada"}])
        rows = graph.query("MATCH (n) RETURN n.id", {"a": 1})["rows"]
        edges = graph.neighbors("bob", depth=2)["edges"]
        return [
            version,
            graph.get("ada"),
            graph.search("age")[0]["node"]["props"],
            rows,
            edges,
            graph.summary()["text"],
        ]

    summary = "Nodes: Person 1\nEdges: none"
    assert await run(flow, None, journal(MemoryGraphs())) == [4, None, {"age": 7}, [["bob"]], [], summary]


def test_every_method_of_a_graph_is_there_for_blocking_code() -> None:
    names = {name for name in vars(Graph) if not name.startswith("_")}
    assert names == {name for name in vars(SyncGraph) if not name.startswith("_")}
