"""ctx.graph and argosy.graph while a shard is away, silent or asked for too much: who waits, and what that spends."""

import asyncio
from typing import Any

import pytest

import argosy
from argosy import (
    Context,
    GraphAwayError,
    StepFailedError,
    step,
    step_info,
)
from argosy.errors import (
    ArgosyError,
    CypherError,
    GraphDeadlineError,
    GraphFileError,
    GraphMissingError,
    GraphTakenError,
    ListsDisagreeError,
    OutcomeUnknownError,
    ShardBusyError,
    ShardSilentError,
    ShardUnavailableError,
    StoreUnavailableError,
    ViewLostError,
    WrongOwnerError,
)
from argosy.graph.words import words_for_tenants
from tests.harness.memory_graphs import SHARD, MemoryGraphs
from tests.workflow.graph_flows import ADA, OWN, journal, remember
from tests.workflow.running import BankError, run


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


@step
async def look_at_both() -> Any:
    async with asyncio.TaskGroup() as group:
        found = [group.create_task(argosy.graph(name).search("ada")) for name in (None, "shared")]
    return [each.result() for each in found]


async def both_looked_at(ctx: Context) -> Any:
    return await ctx.run(look_at_both)


async def two_graphs() -> MemoryGraphs:
    graphs = MemoryGraphs()
    await graphs.create("default", OWN)
    await graphs.create("default", "shared")
    return graphs


async def test_reads_side_by_side_in_a_step_wait_for_their_shard_together() -> None:
    graphs = await two_graphs()
    graphs.go_down(calls=2)
    told = journal(graphs)

    assert await run(both_looked_at, None, told) == [[], []]
    assert [(kind, name) for _, kind, name, _ in told.waits] == [("retry", str(SHARD))]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GraphFileError("damaged"), "GraphUnusableError"),
        (GraphMissingError("not here"), "GraphUnusableError"),
        (GraphTakenError("another life"), "GraphUnusableError"),
        (ListsDisagreeError("KG_BRAIN_ENFORCE"), "GraphUnusableError"),
        (WrongOwnerError("not here, or not so"), "GraphAwayError"),
        (ShardBusyError("no room"), "GraphAwayError"),
    ],
    ids=lambda each: getattr(each, "code", None),
)
async def test_history_says_for_which_graphs_an_operator_has_to_act(error: ArgosyError, kind: str) -> None:
    graphs = await two_graphs()
    graphs.fails_with = error
    told = journal(graphs)
    told.passes_time = False
    running = asyncio.create_task(run(both_looked_at, None, told))
    await asyncio.wait_for(told.is_resting.wait(), 5)
    running.cancel()
    await asyncio.wait([running])

    failed = told.data("step.retrying", "look_at_both")
    assert (failed["type"], failed["away"], failed["message"]) == (kind, True, words_for_tenants(error))


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


@pytest.mark.parametrize("is_caught", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        CypherError("no Cypher"),
        GraphDeadlineError("too much"),
        ShardSilentError("not in time"),
        ViewLostError("lost"),
        ShardUnavailableError("10.0.0.7:9010: refused"),
    ],
    ids=lambda error: error.code,
)
async def test_a_traceback_of_a_step_does_not_say_where_shards_are(error: ArgosyError, is_caught: bool) -> None:
    @step(effect="at_most_once")
    async def look() -> None:
        try:
            await argosy.graph("crm").get("ada")
        except ArgosyError as told:
            if is_caught:
                raise BankError("no graph") from told
            raise

    async def flow(ctx: Context) -> Any:
        await ctx.run(look)

    graphs = MemoryGraphs()
    error.__cause__ = OSError("peer ipv4:10.0.0.7:9010")
    graphs.fails_with = error
    told = journal(graphs)

    with pytest.raises(StepFailedError):
        await run(flow, None, told)

    failed = told.data("step.failed", "look")
    assert "await argosy.graph" in failed["traceback"]
    assert "10.0.0.7" not in str(failed)
