"""Workflows whose code never comes back from a call. Input: {"folder"}, where they say that they have begun."""

import asyncio
import atexit
import threading
from pathlib import Path
from typing import Any

from argosy import Context, SyncContext, step, step_info, workflow

NEVER_S = 600.0


def _hang(job: dict[str, Any], name: str) -> None:
    Path(job["folder"], name).touch()
    threading.Event().wait(NEVER_S)


@step(timeout_s=0.3)
def outlives_its_timeout(job: dict[str, Any]) -> None:
    threading.Event().wait(NEVER_S)


@step
def sits(job: dict[str, Any]) -> None:
    _hang(job, "step")


@step
def works(job: dict[str, Any]) -> int:
    return 7


@step
async def leaves_threads(job: dict[str, Any]) -> None:
    """Threads that Argosy did not start, of both kinds, and an exit handler that hangs, too."""
    threading.Thread(target=_hang, args=(job, "thread"), daemon=False).start()
    atexit.register(_hang, job, f"exit of {step_info().step_key}")
    await asyncio.to_thread(_hang, job, "to_thread")


@workflow
async def times_out(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(outlives_its_timeout, job)


@workflow
async def in_step(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(sits, job)


@workflow
def in_workflow(ctx: SyncContext, job: dict[str, Any]) -> None:
    _hang(job, "workflow")


@workflow
async def elsewhere(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(leaves_threads, job)


@workflow
async def well(ctx: Context, job: dict[str, Any]) -> int:
    return await ctx.run(works, job)
