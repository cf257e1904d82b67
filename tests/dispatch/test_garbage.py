"""A turn that is over frees its memory by itself: it is not left to the garbage collector."""

import asyncio
import contextlib
import gc
from typing import Any

import pytest

from argosy import Context, StepFailedError, WorkflowError, emit, step, workflow
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.definition import workflow_of
from tests.dispatch.joined_parts import OneWorkflow, Parts, until


@step
async def says(job: Any) -> str:
    emit("answer", text="token ")
    return "done"


@workflow
async def completes(ctx: Context, job: Any) -> None:
    emit("progress", text="begun")
    await ctx.run(says, job)


@workflow
async def fails(ctx: Context, job: Any) -> None:
    raise ValueError("no")


@step
async def breaks(job: Any) -> None:
    raise ValueError("no")


@workflow
async def recovers(ctx: Context, job: Any) -> None:
    with contextlib.suppress(StepFailedError):
        await ctx.run(breaks, job)


@workflow
async def rests(ctx: Context, job: Any) -> None:
    await ctx.wait_signal("go")


@workflow
async def says_goodbye(ctx: Context, job: Any) -> None:
    try:
        await ctx.wait_signal("go")
    finally:
        with contextlib.suppress(WorkflowError):
            emit("late", text="what nobody sees")
        with contextlib.suppress(WorkflowError):
            await ctx.run(says, job)


@workflow
async def branches(ctx: Context, job: Any) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(ctx.run(says, job), ctx.run(says, job), asyncio.sleep(0.001))


@step
async def goes_on() -> None:
    emit("answer", text="token ")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(30)


@workflow
async def leaves_a_step(ctx: Context, job: Any) -> None:
    left = asyncio.create_task(ctx.run(goes_on))
    await ctx.run(says, job)
    del left


@step
async def takes_a_while(job: Any) -> None:
    await asyncio.sleep(0.01)


@workflow
async def leaves_a_step_that_runs(ctx: Context, job: Any) -> None:
    left = asyncio.create_task(ctx.run(goes_on))
    await ctx.run(takes_a_while, job)
    del left


@workflow
async def gives_up_a_step_that_has_not_begun(ctx: Context, job: Any) -> None:
    given_up = asyncio.create_task(ctx.run(goes_on))
    await asyncio.sleep(0)
    await ctx.uuid()  # its outcome is there in the pass of the loop in which the step's task is made
    given_up.cancel()


@workflow
async def gives_up_a_step_that_runs(ctx: Context, job: Any) -> None:
    given_up = asyncio.create_task(ctx.run(goes_on))
    await ctx.run(takes_a_while, job)
    given_up.cancel()
    await ctx.run(says, job)


_ENDS = (completes, fails, recovers, rests, says_goodbye, branches)
_LEAVES = (leaves_a_step, leaves_a_step_that_runs, gives_up_a_step_that_has_not_begun, gives_up_a_step_that_runs)


async def run_to_its_end(parts: Parts, workflow: str) -> None:
    """Run one turn until it has ended or rests, and keep nothing of it."""
    turn = parts.begin(workflow)
    turn_id, execution = turn.turn_id, turn.execution
    assert execution is not None
    del turn
    await until(lambda: turn_id not in parts.scheduler.live)
    await until(lambda: execution.has_ended)


@pytest.mark.parametrize("flow", [*_ENDS, *_LEAVES])
async def test_a_turn_that_has_ended_or_rests_is_freed_at_once(flow: Any) -> None:
    definition = workflow_of(flow)

    assert definition is not None
    async with Parts(OneWorkflow(definition)) as parts:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await run_to_its_end(parts, definition.name)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [each for each in gc.garbage if isinstance(each, Turn)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

        assert left == []
