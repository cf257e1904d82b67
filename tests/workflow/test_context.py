"""Keys, waits, values, branches, and what is left when a workflow ends."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy import Context, StepFailedError, WaitTimeoutError, WorkflowError, step
from argosy.errors import EncodingError, PayloadTooLargeError
from argosy.workflow.journal import Park
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import SIZE_BYTES_MAX, run


async def echo(value: Any) -> Any:
    return value


async def test_every_operation_has_a_key_of_its_name_and_occurrence() -> None:
    @step(name="charge.card")
    async def charge() -> None:
        pass

    async def flow(ctx: Context) -> None:
        for _ in range(2):
            await ctx.run(charge)
            await ctx.sleep(1)
            await ctx.wait_signal("go", timeout_s=0)
            await ctx.now()
            await ctx.uuid()

    journal = ListJournal()
    journal.signals = {"go": [1, 2]}
    await run(flow, None, journal)

    keys = [key for kind, key in journal.outcomes() if kind != "wait.started"]
    names = ["charge.card", "sleep", "signal:go", "now", "uuid"]
    assert keys == [*names, *(f"{name}#2" for name in names)]


async def test_branches_keep_their_keys_whatever_order_they_finish_in() -> None:
    async def finish_after(delay_s: float, value: int) -> int:
        await asyncio.sleep(delay_s)
        return value

    async def flow(ctx: Context) -> Any:
        return await asyncio.gather(*(ctx.run(finish_after, 0.03 - number / 100, number) for number in range(3)))

    journal = ListJournal()
    result = await run(flow, None, journal)

    assert result == [0, 1, 2]
    assert [key for _, key in journal.outcomes()] == ["finish_after#3", "finish_after#2", "finish_after"]
    assert await run(flow, None, ListJournal(journal.rows[:1])) == [0, 1, 2]


async def test_a_signal_that_comes_is_its_payload_also_in_a_replay() -> None:
    async def flow(ctx: Context) -> Any:
        return [await ctx.wait_signal("reviewed"), await ctx.wait_signal("reviewed")]

    journal = ListJournal()
    journal.signals = {"reviewed": [{"ok": True}, None]}
    first = await run(flow, None, journal)

    assert first == await run(flow, None, ListJournal(journal.rows)) == [{"ok": True}, None]


async def test_a_signal_that_does_not_come_raises_the_same_in_a_replay() -> None:
    messages = []

    async def flow(ctx: Context) -> None:
        await ctx.sleep(0)
        try:
            await ctx.wait_signal("reviewed", timeout_s=60)
        except WaitTimeoutError as error:
            messages.append(str(error))

    journal = ListJournal()
    await run(flow, None, journal)
    await run(flow, None, ListJournal(journal.rows))

    assert messages == ["no signal 'reviewed' came in time"] * 2


async def test_the_first_of_two_waits_wins_and_wins_again_in_a_replay() -> None:
    async def flow(ctx: Context) -> str:
        signal = asyncio.create_task(ctx.wait_signal("go"))
        sleep = asyncio.create_task(ctx.sleep(60))
        done, pending = await asyncio.wait({signal, sleep}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return "signal" if signal in done else "sleep"

    journal = ListJournal()

    assert await run(flow, None, journal) == "sleep"
    assert await run(flow, None, ListJournal(journal.rows, passes_time=False)) == "sleep"


async def test_now_and_uuid_are_recorded_and_the_same_in_a_replay() -> None:
    async def flow(ctx: Context) -> Any:
        now, identity = await ctx.now(), await ctx.uuid()
        assert now.tzinfo is UTC
        return [now.isoformat(), str(identity)]

    journal = ListJournal()
    first = await run(flow, None, journal)
    later = ListJournal(journal.rows)
    later.now_s += 1_000

    assert first == await run(flow, None, later)
    assert datetime.fromisoformat(first[0]).timestamp() == journal.now_s
    assert uuid.UUID(first[1]).version == 4


async def test_a_turn_knows_itself() -> None:
    async def flow(ctx: Context) -> Any:
        return [str(ctx.turn_id), ctx.session, ctx.tenant, ctx.attempt]

    journal = ListJournal(attempt=3)

    assert await run(flow, None, journal) == [str(journal.turn_id), "customer-1", "default", 3]


@pytest.mark.parametrize("wait_s", [-1, float("nan"), float("inf"), 10**12, True, "1", None])
async def test_a_wait_of_no_sensible_length_is_refused(wait_s: Any) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.sleep(wait_s)

    with pytest.raises(WorkflowError, match=r"ctx\.sleep takes seconds"):
        await run(flow)


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "a#2", "a~1", "\ud800", None, 5])
async def test_a_signal_name_that_no_signal_could_have_is_refused(name: Any) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.wait_signal(name)

    with pytest.raises(WorkflowError, match="a signal's name"):
        await run(flow)


async def test_durable_operations_inside_a_step_are_refused() -> None:
    async def flow(ctx: Context) -> None:
        async def outer() -> Any:
            return await ctx.run(echo, 1)

        await ctx.run(outer)

    with pytest.raises(StepFailedError, match="inside a step") as failed:
        await run(flow)

    assert failed.value.error_type == "WorkflowError"


@pytest.mark.parametrize("bad", [lambda: None, 5, "echo", ListJournal])
async def test_what_is_no_step_is_refused(bad: Any) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.run(bad)

    with pytest.raises(WorkflowError):
        await run(flow)


async def test_a_changed_workflow_that_skips_a_recorded_step_is_parked() -> None:
    async def before(ctx: Context) -> None:
        await ctx.run(echo, 1)

    async def after(ctx: Context) -> None:
        await ctx.run(asyncio.sleep, 0)

    async def forgets(ctx: Context) -> None:
        pass

    journal = ListJournal()
    await run(before, None, journal)
    later = ListJournal(journal.rows)
    with pytest.raises(Park, match=r"'echo'.*it raised WorkflowError.*'sleep'"):  # a reserved name
        await run(after, None, later)

    async def other(ctx: Context) -> None:
        await ctx.now()

    with pytest.raises(Park, match=r"'echo'.*'now'"):
        await run(other, None, ListJournal(journal.rows))
    with pytest.raises(Park, match=r"'echo'.*it returned"):
        await run(forgets, None, ListJournal(journal.rows))


async def test_a_branch_that_still_runs_when_the_workflow_ends_is_stopped_and_records_nothing() -> None:
    begun, stopped = asyncio.Event(), []

    async def dawdle() -> None:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.append(1)

    async def fail() -> None:
        await begun.wait()
        raise ValueError("no")

    async def flow(ctx: Context) -> None:
        await asyncio.gather(ctx.run(dawdle), ctx.run(fail))

    journal = ListJournal()
    with pytest.raises(StepFailedError, match="no"):
        await run(flow, None, journal)

    assert stopped == [1]
    assert [key for _, key in journal.outcomes()] == ["fail"]


async def test_a_branch_that_is_left_when_the_workflow_ends_is_closed_and_cannot_begin_anything() -> None:
    refused: list[str] = []

    async def flow(ctx: Context) -> None:
        async def branch() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                try:
                    await ctx.run(echo, 1)
                except WorkflowError as error:
                    refused.append(str(error))

        task = asyncio.create_task(branch())
        await asyncio.sleep(0)
        assert not task.done()

    journal = ListJournal()
    await run(flow, None, journal)

    assert "nothing of it begins any more" in refused[0]
    assert journal.outcomes() == []


async def test_a_reason_to_park_gets_through_gathers_groups_and_except_clauses() -> None:
    @step(effect="at_most_once")
    async def pay() -> None:
        raise AssertionError("must not run")

    async def gathers(ctx: Context) -> None:
        await asyncio.gather(ctx.run(pay), return_exceptions=False)

    async def fail() -> None:
        raise ValueError("no")

    async def groups(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.run(fail))
            group.create_task(ctx.run(pay))

    async def swallows(ctx: Context) -> None:
        try:
            await ctx.run(pay)
        except Exception:
            raise AssertionError("must not be caught") from None

    for flow in (gathers, groups, swallows):
        with pytest.raises(Park):
            await run(flow, None, ListJournal([(1, 1, "step.intended", "pay", b"{}")]))


async def test_one_error_of_a_task_group_is_the_error_of_the_workflow() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def flow(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.run(fail))

    with pytest.raises(StepFailedError, match="no"):
        await run(flow)


async def test_the_result_of_a_workflow_must_be_recordable() -> None:
    async def flow(ctx: Context, value: str) -> Any:
        return {"nan": float("nan"), "large": "x" * SIZE_BYTES_MAX}[value]

    with pytest.raises(EncodingError, match="result of the workflow"):
        await run(flow, "nan")
    with pytest.raises(PayloadTooLargeError, match="result of the workflow"):
        await run(flow, "large")


async def test_an_input_may_be_left_out_or_have_a_default() -> None:
    async def without(ctx: Context) -> str:
        return "none"

    async def with_default(ctx: Context, count: int = 3) -> int:
        return count

    assert await run(without) == "none"
    assert await run(with_default) == 3
    assert await run(with_default, 5) == 5
    with pytest.raises(WorkflowError, match="takes no input"):
        await run(without, 1)
