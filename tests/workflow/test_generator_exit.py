"""GeneratorExit, which Python throws into frames in another way than any other error."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from argosy import Context, StepFailedError, WorkflowError, step, workflow
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run


async def _raise() -> None:
    raise GeneratorExit


@step
async def itself() -> None:
    raise GeneratorExit


@step
async def gathers() -> None:
    await asyncio.gather(_raise(), asyncio.sleep(0.01))


@step
def in_thread() -> None:
    raise GeneratorExit


@step(retries=1, backoff_s=0.01)
def again_in_thread() -> None:
    raise GeneratorExit


@pytest.mark.parametrize("raises", [itself, gathers, in_thread, again_in_thread])
async def test_a_step_that_raises_it_fails(raises: Callable[..., Any]) -> None:
    @workflow
    async def code(ctx: Context) -> str:
        try:
            await ctx.run(raises)
        except StepFailedError as error:
            return error.error_type
        return ""

    assert await run(code) == "GeneratorExit"


async def test_a_branch_of_a_workflow_that_raises_it_fails_the_workflow() -> None:
    async def code(ctx: Context) -> None:
        await asyncio.gather(_raise(), ctx.sleep(0.01))

    with pytest.raises(GeneratorExit):
        await run(code)


class Unequal(dict[str, int]):
    """What breaks whoever compares it."""

    def __eq__(self, other: object) -> bool:
        raise LookupError("no")

    __hash__ = None

    def __ne__(self, other: object) -> bool:
        raise LookupError("no")


async def test_a_result_that_cannot_be_looked_at_fails_the_workflow() -> None:
    async def code(ctx: Context) -> Any:
        await ctx.sleep(0.01)
        return Unequal(a=1)

    with pytest.raises(LookupError):
        await run(code)


# What ctx of a synchronous workflow answers to anybody but its own thread


async def test_a_thread_of_a_synchronous_workflow_cannot_use_its_ctx() -> None:
    told: list[str] = []

    def use(ctx: Any) -> None:
        try:
            ctx.run(itself)
        except WorkflowError as error:
            told.append(str(error))

    def code(ctx: Any) -> int:
        thread = threading.Thread(target=use, args=(ctx,))
        thread.start()
        thread.join(5)
        ctx.sleep(0.01)
        return len(told)

    assert await run(code, journal=ListJournal()) == 1
    assert "in a step" in told[0]


async def test_a_step_cannot_use_the_ctx_of_a_synchronous_workflow_and_block_the_worker() -> None:
    def code(ctx: Any) -> str:
        @step
        async def uses() -> None:
            ctx.sleep(0.01)

        try:
            ctx.run(uses)
        except StepFailedError as error:
            return error.error_type
        return ""

    assert await run(code) == "WorkflowError"
