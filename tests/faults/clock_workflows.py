"""A workflow that says what time it is for it."""

import time
from typing import Any

from argosy import Context, step, workflow


@step
async def read_wall_clock(_: dict[str, Any]) -> float:
    return time.time()


@workflow
async def reads_clocks(ctx: Context, job: dict[str, Any]) -> dict[str, float]:
    """now: what workflows are to go by; wall: what its process takes the time to be. Seconds since 1970."""
    now = await ctx.now()
    return {"now": now.timestamp(), "wall": await ctx.run(read_wall_clock, job)}
