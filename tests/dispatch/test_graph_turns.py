"""Turns that write to graphs, in a worker: who sends a write, and what becomes of a turn whose shard is away."""

from collections.abc import Callable
from typing import Any

from argosy import Context, graph, step
from argosy.turn.status import Status
from argosy.turn.wait import decode
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.joined_parts import Parts, arguments_of, catalog, is_over
from tests.dispatch.turn_runner import Runner, data_of, runner, told, until
from tests.harness.memory_graphs import SHARD, MemoryGraphs

__all__ = ["runner"]

Runners = Callable[..., Runner]
OWN = "session:default/s"
ADA = {"id": "ada", "label": "Person"}


async def remember(ctx: Context) -> Any:
    return await ctx.graph().upsert_nodes([ADA])


async def graphs_down() -> MemoryGraphs:
    """Return graphs whose shard is down, with the graph of the turns' session."""
    graphs = MemoryGraphs()
    await graphs.create("a", OWN)
    graphs.go_down()
    return graphs


async def run_past_outage(graphs: MemoryGraphs, made: Runner, retry: str) -> tuple[Turn, Turn]:
    """Run a turn until it waits for the shard, and to its end once the shard is back and the timer of its retry fires.

    Returns the turn as it waited, and as it ended.
    """
    waiting = await made.begin()
    await until(lambda: waiting.status is Status.SUSPENDED)
    graphs.come_back()
    resumed = await made.begin(before=waiting, status=Status.SUSPENDED)
    resumed.open_journal.fire(retry, resumed.turn_id)
    await until(lambda: resumed.status is Status.COMPLETED)
    return waiting, resumed


async def test_a_write_carries_the_token_of_the_attempt_that_sends_it(runner: Runners) -> None:
    graphs = MemoryGraphs()
    turn = await runner(remember, graphs=graphs).run()

    assert turn.status is Status.COMPLETED
    assert [token for *_, token in graphs.sent] == [(turn.session_id, 1, 1, 1)]


async def test_a_turn_that_writes_once_is_written_by_two_flushes() -> None:
    """One before the shard hears of the write, with the start of the turn; one with what it came to, and the end."""
    async with Parts(catalog(remember), graphs=MemoryGraphs()) as parts:
        turn = parts.begin("boom")
        await until(lambda: is_over(turn))

    written = [list(arguments_of(call)["e_type"]) for call in parts.stream.calls]
    assert written == [["turn.started", "step.intended"], ["step.completed", "turn.completed"]]


async def test_the_next_attempt_after_a_crash_sends_the_same_write_with_its_own_token(runner: Runners) -> None:
    graphs = MemoryGraphs()
    made = runner(remember, graphs=graphs)
    crashed = await made.run()
    intended = next(event.seq for event in crashed.events if event.type == "step.intended")

    again = await made.run(before=crashed, status=Status.RUNNING, until=intended)

    assert again.result == b"1"
    assert graphs.sent[0][:3] == graphs.sent[1][:3]
    assert [token and token.attempt for *_, token in graphs.sent] == [1, 2]
    assert graphs.graphs["a", OWN].version == 1


async def test_a_write_that_the_graph_has_otherwise_parks_the_turn_until_an_operator_resumes_it(
    runner: Runners,
) -> None:
    graphs = MemoryGraphs()
    made = runner(remember, graphs=graphs)
    lost = await made.run()
    keys = graphs.graphs["a", OWN].keys
    keys[f"{lost.turn_id}/graph:write"] = b"other operations", keys[f"{lost.turn_id}/graph:write"][1]

    parked = await made.run(before=lost, status=Status.RUNNING, until=1)
    resumed = await made.run(before=parked)

    assert (parked.status, parked.reason) == (Status.PARKED, "graph_mismatch")
    assert [key for kind, key, _ in told(parked) if kind == "turn.parked"] == ["graph:write"]
    assert (resumed.status, resumed.result) == (Status.COMPLETED, b"2")
    assert sorted(keys) == [f"{lost.turn_id}/graph:write", f"{lost.turn_id}/graph:write@1"]


async def test_while_a_shard_is_down_its_turns_are_suspended_and_others_run(runner: Runners) -> None:
    graphs = await graphs_down()

    waiting, resumed = await run_past_outage(graphs, runner(remember, graphs=graphs), "graph:write~1")

    assert [kind for kind, _, _ in told(waiting)] == [
        "turn.started", "step.intended", "step.retrying", "wait.started", "turn.suspended"
    ]  # fmt: skip
    assert resumed.result == b"1"
    assert len({(ops, write_key) for _, ops, write_key, _ in graphs.sent}) == 1


async def test_a_turn_that_waits_for_a_shard_says_so_in_its_row_and_its_timer(runner: Runners) -> None:
    made = runner(remember, graphs=await graphs_down())

    waiting = await made.begin()
    await until(lambda: waiting.status is Status.SUSPENDED)
    again = await made.begin(before=waiting, status=Status.SUSPENDED)
    await until(lambda: again.status is Status.SUSPENDED)

    assert [(wait.kind, wait.name) for wait in decode(waiting.waits)] == [("retry", str(SHARD))]
    assert [(row.name, row.payload) for row in waiting.inbox.values()] == [("retry", str(SHARD).encode())]
    assert [wait.name for wait in decode(again.waits)] == [str(SHARD)]
    assert data_of(waiting, "step.retrying")["message"] == f"shard {SHARD} did not answer"


async def test_an_attempt_that_is_fenced_records_nothing_more_and_is_dropped(runner: Runners) -> None:
    graphs = MemoryGraphs()

    async def twice(ctx: Context) -> Any:
        await ctx.graph().upsert_nodes([ADA])
        found = graphs.graphs["a", OWN]
        for session, token in found.fences.items():
            found.fences[session] = token._replace(epoch=token.epoch + 1)
        await ctx.graph().upsert_nodes([{"id": "bob", "label": "Person"}])

    turn = await runner(twice, graphs=graphs).begin()
    await until(lambda: turn.is_refused)

    assert told(turn)[-1][:2] == ("step.intended", "graph:write#2")
    assert list(graphs.graphs["a", OWN].nodes) == ["ada"]


async def test_steps_read_graphs_and_record_nothing_of_it(runner: Runners) -> None:
    @step
    async def look() -> Any:
        return [node and node["id"] for node in await graph().get(["ada", "bob"])]

    @step
    def look_on() -> Any:
        return [hit["node"]["id"] for hit in graph("shared").search("ada")]

    async def flow(ctx: Context) -> Any:
        await ctx.graph().upsert_nodes([ADA])
        await ctx.graph("shared").upsert_nodes([ADA])
        return [await ctx.run(look), await ctx.run(look_on)]

    turn = await runner(flow, graphs=MemoryGraphs()).run()

    assert turn.result == b'[["ada",null],["ada"]]'
    assert [key for kind, key, _ in told(turn) if kind == "step.completed"] == [
        "graph:write", "graph:write#2", "look", "look_on"
    ]  # fmt: skip


async def test_a_turn_whose_step_reads_is_suspended_while_the_shard_is_down_and_goes_on_after(runner: Runners) -> None:
    @step
    def look() -> Any:
        return [node and node["id"] for node in graph().get(["ada"])]

    async def flow(ctx: Context) -> Any:
        return await ctx.run(look)

    graphs = await graphs_down()

    waiting, resumed = await run_past_outage(graphs, runner(flow, graphs=graphs), "look~1")

    assert [(wait.kind, wait.name) for wait in decode(waiting.waits)] == [("retry", str(SHARD))]
    assert resumed.result == b"[null]"


async def test_a_step_that_would_write_is_told_where_writes_belong(runner: Runners) -> None:
    @step(retries=3)
    async def write() -> None:
        await graph().upsert_nodes([ADA])

    async def flow(ctx: Context) -> Any:
        await ctx.run(write)

    graphs = MemoryGraphs()
    turn = await runner(flow, graphs=graphs).run()

    assert turn.status is Status.FAILED
    assert b"write it in the workflow (ctx.graph)" in (turn.error or b"")
    assert graphs.sent == []


async def test_a_worker_without_shards_fails_the_turn_and_names_the_setting(runner: Runners) -> None:
    turn = await runner(remember).run()

    assert turn.status is Status.FAILED
    assert b"GRAPH_SERVICE_ENDPOINTS" in (turn.error or b"")
