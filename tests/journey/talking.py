"""A workflow that says something slowly, and then waits."""

import asyncio

from argosy import Context, emit, step, workflow


@step
async def say() -> str:
    for number in range(20):
        emit("answer", text=f"{number} ")
        await asyncio.sleep(0.05)
    return "said"


@workflow
async def talk(ctx: Context, _: None) -> str:
    await ctx.run(say)
    return str(await ctx.wait_signal("go"))
