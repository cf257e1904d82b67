"""What the bench runs besides `echo`."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from argosy import Context, step, step_info, workflow


@workflow
async def bench_waits(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Waits for a signal and says when it went on: seconds since 1970, the clock of the bench's own machine."""
    await ctx.wait_signal("go")
    return {"resumed_at_s": time.time()}


@step
async def hold(job: dict[str, Any]) -> None:
    """Says in the folder of its job who runs it since when, and goes on until the file `released` is there."""
    folder = Path(job["folder"])
    info = step_info()
    with (folder / "calls").open("a") as calls:
        calls.write(f"{info.turn_id} {info.attempt} {os.getpid()} {time.time()}\n")
    while not (folder / "released").exists():  # noqa: ASYNC110 — another process makes it
        await asyncio.sleep(0.1)


@workflow
async def bench_holds(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(hold, job)
