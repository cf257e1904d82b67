"""What becomes of tasks beside the workflow when its turn is cancelled."""

import asyncio

from argosy import Context
from tests.workflow.cancelling import Made, branch_that_cleans_up, replay, run_cancelled
from tests.workflow.list_journal import ListJournal


async def test_what_runs_beside_the_workflow_is_cancelled_when_that_has_ended_and_cleans_up(made: Made) -> None:
    async def flow(ctx: Context) -> None:
        branches = [asyncio.create_task(branch_that_cleans_up(ctx, name, made)) for name in ("a", "b", "c")]
        for each in branches:
            await each

    journal = ListJournal(passes_time=False)
    journal, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)
    whole = list(journal.rows)
    at = next(number for number, row in enumerate(whole) if row[2] == "turn.cancelling")

    assert isinstance(ended, asyncio.CancelledError)
    assert made == ["a", "b", "c"]
    for rows in range(at + 1, len(whole) + 1):
        made.clear()
        _, ended_again = await replay(flow, journal, rows)
        assert isinstance(ended_again, asyncio.CancelledError)
        assert made == ["a", "b", "c"][sum(row[2] == "step.completed" for row in whole[:rows]) :]


async def test_who_swallows_a_cancel_beside_the_workflow_and_waits_for_nothing_is_not_waited_for() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def flow(ctx: Context) -> None:
        beside = asyncio.create_task(stubborn())
        await ctx.wait_signal("go")
        await beside

    journal = ListJournal(passes_time=False)
    journal, ended = await run_cancelled(flow, journal.is_resting.is_set, journal)

    assert isinstance(ended, asyncio.CancelledError)
