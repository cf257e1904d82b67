"""Build 2 of the workflows of test_builds.py. Input: as in tests/journey/workflows.py."""

import asyncio
from pathlib import Path
from typing import Any

from argosy import Context, workflow
from tests.journey.workflows import hold_at_most_once, touch


@workflow(version="2")
async def upgraded(ctx: Context, job: dict[str, Any]) -> str:
    """Waits for a signal between two steps, and says by which version it was run."""
    await ctx.run(touch, job)
    await ctx.wait_signal("go")
    await ctx.run(touch, job)
    return "2"


@workflow(version="2")
async def added(ctx: Context, job: dict[str, Any]) -> str:
    """New in this build: a step that is held until a file is there, in the middle."""
    await ctx.run(touch, job)
    await ctx.run(_held, job)
    await ctx.run(touch, job)
    return "2"


@workflow(version="2")
async def added_once(ctx: Context, job: dict[str, Any]) -> str:
    """New in this build: the step in the middle must never be repeated."""
    await ctx.run(touch, job)
    await ctx.run(hold_at_most_once, job)
    await ctx.run(touch, job)
    return "2"


async def _held(job: dict[str, Any]) -> None:
    while job.get("until") and not Path(job["until"]).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.02)
