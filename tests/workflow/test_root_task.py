"""The first task of a workflow is to asyncio, and to whoever uses it, what any other task is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from argosy import Context
from tests.workflow.running import run


async def in_the_first(ctx: Context, code: Callable[[Context], Awaitable[Any]]) -> Any:
    return await code(ctx)


async def in_another(ctx: Context, code: Callable[[Context], Awaitable[Any]]) -> Any:
    return await asyncio.create_task(code(ctx))  # type: ignore[arg-type]


@pytest.mark.parametrize("within", [in_the_first, in_another])
async def test_a_group_that_fails_while_it_is_timed_out_leaves_no_cancel_behind(
    within: Callable[..., Awaitable[Any]],
) -> None:
    async def fails_when_cancelled(ctx: Context) -> None:
        try:
            await ctx.sleep(50)
        finally:
            raise ValueError("in a clean-up")

    async def code(ctx: Context) -> list[Any]:
        seen: list[Any] = []
        try:
            async with asyncio.timeout(0.01):
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(fails_when_cancelled(ctx))
                except* ValueError:
                    seen.append("failed")
        except TimeoutError:
            seen.append("timed out")
        await ctx.sleep(0)
        return [*seen, asyncio.current_task().cancelling()]  # type: ignore[union-attr]

    async def flow(ctx: Context) -> Any:
        return await within(ctx, code)

    assert await run(flow) == ["failed", 0]


async def test_who_takes_back_the_last_cancel_is_not_cancelled_in_any_version_of_python() -> None:
    async def flow(ctx: Context) -> list[int]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.cancel()
        counts = [task.uncancel(), task.uncancel(), task.uncancel()]
        await ctx.sleep(0)
        return counts

    assert await run(flow) == [1, 0, 0]


async def test_who_takes_back_one_of_two_cancels_is_cancelled() -> None:
    async def flow(ctx: Context) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.cancel()
        task.uncancel()
        try:
            await ctx.sleep(0)
        except asyncio.CancelledError:
            return "cancelled"
        return "goes on"

    assert await run(flow) == "cancelled"
