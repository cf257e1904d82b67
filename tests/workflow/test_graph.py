"""ctx.graph: what is recorded of reads and writes, in which order, and what a replay sees of them."""

import asyncio
from functools import reduce
from typing import Any

import pytest

import argosy
from argosy import (
    Context,
    Graph,
    GraphAwayError,
    GraphConditionError,
    StepFailedError,
    SyncContext,
    SyncGraph,
    step,
    step_info,
    workflow,
)
from argosy.errors import (
    ArgosyError,
    FencedError,
    GraphDeadlineError,
    GraphFileError,
    GraphInputError,
    GraphNameError,
    GraphNotFoundError,
    OutcomeUnknownError,
    ShardSilentError,
    ShardUnavailableError,
    StoreUnavailableError,
    WrongOwnerError,
)
from argosy.graph.facts import Token
from argosy.graph.ops import NESTING_MAX
from argosy.workflow.journal import Park
from tests.harness.memory_graphs import SHARD, MemoryGraphs
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import SIZE_BYTES_MAX, BankError, run

ADA = {"id": "ada", "label": "Person", "props": {"born": 1815}}
BOB = {"id": "bob", "label": "Person"}
OWN = "session:default/customer-1"


def journal(graphs: MemoryGraphs | None, rows: list[Any] | None = None, attempt: int = 1) -> ListJournal:
    made = ListJournal(rows, attempt=attempt)
    made.shards = graphs
    return made


def nested(depth: int) -> list[Any]:
    """Return a list that is nested so deep."""
    return reduce(lambda inner, _: [inner], range(depth - 1), list[Any]())


async def remember(ctx: Context) -> Any:
    return await ctx.graph().upsert_nodes([ADA])


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


async def test_a_shard_that_is_down_makes_the_turn_wait_and_spends_no_retries() -> None:
    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.go_down(calls=40)
    told = journal(graphs)

    assert await run(remember, None, told) == 1
    assert [kind for _, kind, *_ in told.waits] == ["retry"] * 40
    assert 50 <= max(wait_s or 0 for *_, wait_s in told.waits) * 2 <= 60
    assert len(graphs.sent) == 41
    assert len({(ops, key) for _, ops, key, _ in graphs.sent}) == 1
    assert graphs.graphs["default", OWN].version == 1
    assert [kind for kind, _ in told.outcomes()].count("step.intended") == 1


async def test_a_wait_for_a_shard_goes_on_in_the_next_attempt_with_what_is_recorded() -> None:
    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.go_down()
    told = journal(graphs)
    told.passes_time = False
    running = asyncio.create_task(run(remember, None, told))
    await asyncio.wait_for(told.is_resting.wait(), 5)
    running.cancel()
    await asyncio.wait([running])
    graphs.come_back()

    again = journal(graphs, told.rows, 2)
    assert await run(remember, None, again) == 1

    assert [key for key, *_ in again.waits] == ["graph:write~1"]
    assert [kind for kind, _ in again.outcomes()].count("step.intended") == 1
    assert graphs.sent[0][:3] == graphs.sent[1][:3]


async def test_a_read_that_asks_for_too_much_is_tried_a_few_times_however_often_its_turn_begins_again() -> None:
    async def flow(ctx: Context) -> Any:
        return await ctx.graph().query("MATCH (a), (b), (c) RETURN count(*)")

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.go_down(calls=2)
    graphs.fails_with = GraphDeadlineError("it asks for too much")
    told = journal(graphs)
    with pytest.raises(StepFailedError, match="asks for too much") as failed:
        await run(flow, None, told)
    third = [kind for kind, _ in told.outcomes()].index("step.failed") - 3
    again = journal(graphs, told.rows[:third], 2)
    with pytest.raises(StepFailedError):
        await run(flow, None, again)

    assert failed.value.error_type == "GraphDeadlineError"
    assert told.outcomes() == again.outcomes()
    assert [kind for kind, _ in told.outcomes()].count("step.retrying") == 2 + 4


async def test_a_step_that_reads_while_its_shard_is_down_waits_for_it_and_spends_no_retries() -> None:
    tries: list[int] = []

    @step
    async def look() -> Any:
        tries.append(step_info().try_number)
        return await argosy.graph().get("ada")

    async def flow(ctx: Context) -> Any:
        return await ctx.run(look)

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.go_down(calls=40)
    told = journal(graphs)

    assert await run(flow, None, told) is None
    assert tries == list(range(1, 42))
    assert [(kind, name) for _, kind, name, _ in told.waits] == [("retry", str(SHARD))] * 40
    assert 50 <= max(wait_s or 0 for *_, wait_s in told.waits) * 2 <= 60
    assert told.data("step.retrying", "look")["away"] is True


async def test_a_step_s_own_errors_spend_its_retries_and_those_of_its_shard_none_in_whichever_attempt() -> None:
    graphs = MemoryGraphs()
    ends = ["away", "bank", "away", "away", "bank", "away", "bank"]

    @step(retries=2, backoff_s=0.2)
    async def look() -> None:
        if ends[step_info().try_number - 1] == "bank":
            raise BankError("no")
        graphs.go_down(calls=1)
        await argosy.graph().get("ada")

    async def flow(ctx: Context) -> None:
        await ctx.run(look)

    await graphs.create("default", OWN)
    told = journal(graphs)
    with pytest.raises(StepFailedError) as failed:
        await run(flow, None, told)
    retries = [number for number, (kind, _) in enumerate(told.outcomes(), 1) if kind == "step.retrying"]
    again = [journal(graphs, told.rows[:end], 2) for end in retries]
    for each in again:
        with pytest.raises(StepFailedError):
            await run(flow, None, each)

    assert failed.value.error_type == "BankError"
    assert [told.outcomes()] * len(retries) == [each.outcomes() for each in again]
    waits_s = [wait_s for *_, wait_s in told.waits]
    assert waits_s == [0.25, 0.1, 0.5, 1.0, 0.2, 2.0]
    assert [each.waits[0] for each in again] == told.waits


@pytest.mark.parametrize("is_down", [True, False])
async def test_silence_is_the_step_s_own_error_unless_the_shard_is_known_to_be_down(is_down: bool) -> None:
    @step
    async def look() -> Any:
        return await argosy.graph().search("ada")

    async def flow(ctx: Context) -> Any:
        return await ctx.run(look)

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    graphs.fails_with = silent = ShardSilentError("the shard did not answer in time")
    silent.shard = SHARD if is_down else None
    told = journal(graphs)
    told.passes_time = False
    running = asyncio.create_task(run(flow, None, told))
    resting = asyncio.create_task(told.is_resting.wait())
    await asyncio.wait({running, resting}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    resting.cancel()
    await asyncio.gather(running, resting, return_exceptions=True)

    assert told.outcomes()[0][0] == ("step.retrying" if is_down else "step.failed")


async def test_reads_side_by_side_in_a_step_wait_for_their_shard_together() -> None:
    @step
    async def look() -> Any:
        async with asyncio.TaskGroup() as group:
            found = [group.create_task(argosy.graph(name).search("ada")) for name in (None, "shared")]
        return [each.result() for each in found]

    async def flow(ctx: Context) -> Any:
        return await ctx.run(look)

    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    await graphs.create("default", "shared")
    graphs.go_down(calls=2)
    told = journal(graphs)

    assert await run(flow, None, told) == [[], []]
    assert [(kind, name) for _, kind, name, _ in told.waits] == [("retry", str(SHARD))]


async def test_a_step_may_go_on_without_a_graph_that_is_away() -> None:
    @step
    async def look() -> str:
        try:
            return str(await argosy.graph().get("ada"))
        except GraphAwayError:
            return "nothing known"

    async def flow(ctx: Context) -> Any:
        return await ctx.run(look)

    graphs = MemoryGraphs()
    graphs.go_down()

    assert await run(flow, None, journal(graphs)) == "nothing known"


async def test_an_at_most_once_step_is_not_run_again_for_a_shard_that_is_away() -> None:
    @step(effect="at_most_once", retries=3)
    async def pay() -> None:
        await argosy.graph().get("ada")

    async def flow(ctx: Context) -> None:
        await ctx.run(pay)

    graphs = MemoryGraphs()
    graphs.go_down()
    told = journal(graphs)
    with pytest.raises(StepFailedError) as failed:
        await run(flow, None, told)

    assert failed.value.error_type == "GraphAwayError"
    assert [kind for kind, _ in told.outcomes()] == ["step.intended", "step.failed"]


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (ShardUnavailableError("unix:/srv/shard: refused"), "step.retrying"),
        (GraphFileError("/srv/shard/1f.sqlite is malformed"), "step.retrying"),
        (WrongOwnerError("here is 7f, and 8f is meant"), "step.retrying"),
        (StoreUnavailableError("Postgres cannot be reached: 10.0.0.3:5432"), "step.retrying"),
        (OutcomeUnknownError("10.0.0.3:7700: cut off"), "step.failed"),
    ],
)
async def test_no_turn_says_where_a_shard_its_files_or_postgres_are(error: ArgosyError, ends: str) -> None:
    @step
    async def look() -> None:
        await argosy.graph("shared").get("ada")

    async def reading(ctx: Context) -> None:
        await ctx.run(look)

    async def writing(ctx: Context) -> None:
        await ctx.graph("shared").upsert_nodes([ADA])

    graphs = MemoryGraphs()
    await graphs.create("default", "shared")
    graphs.fails_with = error
    said = []
    for flow, key in ((reading, "look"), (writing, "graph:write")):
        told = journal(graphs)
        told.passes_time = False
        running = asyncio.create_task(run(flow, None, told))
        resting = asyncio.create_task(told.is_resting.wait())
        await asyncio.wait({running, resting}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        for each in (running, resting):
            each.cancel()
        await asyncio.gather(running, resting, return_exceptions=True)
        said += [row for row in told.rows if row[3] == key and row[2] in ("step.retrying", "step.failed")]

    assert [row[2] for row in said] == [ends, "step.retrying"]
    assert not any(word in row[4] for row in said for word in (b"/srv", b"10.0.0.3", b"7f"))


async def test_a_later_attempt_fences_an_earlier_one_whose_attempt_ends() -> None:
    graphs = MemoryGraphs()
    old = journal(graphs)
    await run(remember, None, old)
    graphs.graphs["default", OWN].fences[old.token.session_id] = Token(old.token.session_id, 2, 1, 2)

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
