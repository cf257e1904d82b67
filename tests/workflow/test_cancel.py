"""A cancel as the code of a workflow sees it: once, at one place in the order of outcomes, in the first run as in every
replay; and what it may do then.
"""

import asyncio
from typing import Any

import pytest

from argosy import Context, SyncContext
from tests.workflow.cancelling import Made, branch_that_cleans_up, cancel_when, replay, run_cancelled
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


async def test_code_without_a_handler_ends_at_once(made: Made) -> None:
    async def flow(ctx: Context) -> None:
        await ctx.run(hangs)

    async def hangs() -> None:
        made.append("begun")
        await asyncio.Event().wait()

    journal, ended = await run_cancelled(flow, lambda: made)

    assert isinstance(ended, asyncio.CancelledError)
    assert journal.knows_of_cancel
    assert journal.outcomes()[0] == ("turn.cancelling", "")


async def test_code_that_is_cancelled_cleans_up_with_steps_and_sleeps(made: Made) -> None:
    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            await ctx.run(release, 1)
            await ctx.sleep(0.01)
            await ctx.run(release, 2)
            raise

    async def release(number: int) -> int:
        made.append(number)
        return number

    journal = ListJournal()
    journal, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)

    assert isinstance(ended, asyncio.CancelledError)
    assert made == [1, 2]


async def test_every_replay_hears_of_the_cancel_at_the_same_place_and_goes_on(made: Made) -> None:
    async def flow(ctx: Context) -> list[str]:
        heard = []
        for number in range(2):
            try:
                await ctx.run(notes, number)
                await ctx.wait_signal("go")
            except asyncio.CancelledError:
                heard.append(f"cancelled in {number}")
                await ctx.run(notes, "released")
        return heard

    async def notes(what: Any) -> None:
        made.append(what)

    first = ListJournal(passes_time=False)
    first.signals["go"] = [1]
    _, ended = await run_cancelled(flow, lambda: ("wait.started", "signal:go#2") in first.outcomes(), first)
    whole = list(first.rows)
    at = next(number for number, row in enumerate(whole) if row[2] == "turn.cancelling")
    ran = list(made)

    for rows in range(at + 1, len(whole) + 1):
        made.clear()
        again, _ = await replay(flow, first, rows)
        assert made == ran[sum(row[2] == "step.completed" for row in whole[:rows]) :]
        assert [(row[2], row[3]) for row in again.rows if "step" in row[2]] == [
            (row[2], row[3]) for row in whole if "step" in row[2]
        ]
        assert again.knows_of_cancel
        assert sum(row[2] == "turn.cancelling" for row in again.rows) == 1
    assert ended is None
    assert ran == [0, 1, "released"]


async def test_in_a_gather_each_branch_is_cancelled_once_and_cleans_up(made: Made) -> None:
    async def flow(ctx: Context) -> None:
        await asyncio.gather(*(branch_that_cleans_up(ctx, name, made) for name in ("a", "b")))

    journal = ListJournal(passes_time=False)
    journal, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)
    _, ended_again = await replay(flow, journal, len(journal.rows))

    assert isinstance(ended, asyncio.CancelledError)
    assert isinstance(ended_again, asyncio.CancelledError)
    assert made == ["a", "b"]  # and nothing of it again


async def test_a_cancel_that_comes_while_a_group_runs_ends_its_branches_first(made: Made) -> None:
    async def branch(ctx: Context) -> None:
        try:
            await ctx.sleep(3_600)
        finally:
            made.append("branch")

    async def flow(ctx: Context) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(branch(ctx))
                group.create_task(branch(ctx))
        except asyncio.CancelledError:
            made.append("flow")
            raise

    journal = ListJournal(passes_time=False)
    _, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)

    assert isinstance(ended, asyncio.CancelledError)
    assert made == ["branch", "branch", "flow"]


async def test_a_clean_up_may_bound_itself(made: Made) -> None:
    async def flow(ctx: Context) -> None:
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            try:
                async with asyncio.timeout(0.01):
                    await ctx.run(hangs)
            except TimeoutError:
                made.append("too long")
            raise

    async def hangs() -> None:
        await asyncio.Event().wait()

    journal = ListJournal()
    _, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)

    assert isinstance(ended, asyncio.CancelledError)
    assert made == ["too long"]


async def test_who_swallows_a_cancel_goes_on_and_is_not_told_again(made: Made) -> None:
    async def flow(ctx: Context) -> int:
        heard = 0
        for _ in range(3):
            try:
                await ctx.wait_signal("go")
            except asyncio.CancelledError:
                heard += 1
        return heard

    journal = ListJournal(passes_time=False)

    async def go_on() -> None:
        await cancel_when(journal, journal.is_resting.is_set)
        journal.say("go", 1)
        journal.say("go", 1)

    heard, _ = await asyncio.gather(run(flow, None, journal), go_on())

    assert heard == 1


async def test_an_outcome_that_is_there_when_the_cancel_comes_keeps_its_place(made: Made) -> None:
    """What came first is delivered first, in the run that saw it and in each replay."""

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(quick)
            made.append("past")
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            made.append("heard")
            return "cleaned up"
        return "never"

    async def quick() -> None:
        pass

    first, _ = await run_cancelled(flow, lambda: made)
    again, result = await replay(flow, first, len(first.rows))

    assert made == ["past", "heard", "past", "heard"]
    assert result == "cleaned up"
    assert again.knows_of_cancel


@pytest.mark.parametrize("how", ["raise", "return", "swallow"])
async def test_a_synchronous_workflow_hears_of_it_in_its_thread_at_its_operation(made: Made, how: str) -> None:
    def flow(ctx: SyncContext) -> str | None:
        try:
            ctx.wait_signal("go")
        except asyncio.CancelledError:
            ctx.run(release, how)
            if how == "raise":
                raise
            if how == "swallow":
                ctx.run(release, "more")
        return how

    async def release(what: str) -> None:
        made.append(what)

    journal = ListJournal(passes_time=False)
    journal, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)
    ran = list(made)
    again, _ = await replay(flow, journal, 2)

    assert isinstance(ended, asyncio.CancelledError) == (how == "raise")
    assert ran == (["swallow", "more"] if how == "swallow" else [how])
    assert made == ran * 2
    assert again.knows_of_cancel


async def test_code_that_returns_before_it_hears_of_a_cancel_has_not_heard_of_it(made: Made) -> None:
    def flow(ctx: SyncContext) -> str:
        ctx.run(touch)
        made.append("running")
        while "cancelled" not in made:
            pass
        return "whole"

    async def touch() -> None:
        pass

    journal = ListJournal(passes_time=False)

    async def cancel() -> None:
        await cancel_when(journal, lambda: "running" in made)
        made.append("cancelled")

    result, _ = await asyncio.gather(run(flow, None, journal), cancel())
    again, result_again = await replay(flow, journal, len(journal.rows))

    assert (result, result_again) == ("whole", "whole")
    assert not journal.knows_of_cancel
    assert not again.knows_of_cancel
