"""Workflows that the console's tests look at."""

import asyncio
from pathlib import Path
from typing import Any

import argosy
from argosy import Context, step, workflow


async def _until_exists(path: str) -> None:
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 — it is the test's process that makes it
        await asyncio.sleep(0.02)


@step(retries=2, backoff_s=0.05)
async def stumble(job: dict[str, Any]) -> str:
    """Fails the first time."""
    counter = Path(job["counter"])
    if not counter.exists():  # noqa: ASYNC240
        counter.touch()  # noqa: ASYNC240
        raise RuntimeError(job.get("says", "not yet"))
    return "up again"


@workflow
async def desk(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Stumbles once, and waits for a person."""
    done = await ctx.run(stumble, job)
    review = await ctx.wait_signal("reviewed", timeout_s=600)
    return {"done": done, "review": review}


@step
async def write(job: dict[str, Any]) -> str:
    argosy.emit("answer", text="Hello, ")
    await _until_exists(job["until"])
    argosy.emit("answer", text="world \N{SAILBOAT}")
    return "written"


@step(effect="at_most_once")
async def wire(job: dict[str, Any]) -> str:
    Path(job["begun"]).touch()  # noqa: ASYNC240
    await _until_exists(job["until"])
    return "wired"


@workflow
async def payer(ctx: Context, job: dict[str, Any]) -> str:
    """Pays once, or asks a person."""
    return str(await ctx.run(wire, job))


@workflow
async def writer(ctx: Context, job: dict[str, Any]) -> str:
    """Says something, and the rest of it when it is released."""
    return str(await ctx.run(write, job))
