"""Workflows that say who posted them: {"workflow": what `ctx` says, "steps": what steps were told}."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from argosy import Context, step, step_info, workflow


def _told(who: Any) -> Any:
    """A principal as JSON, in one order."""
    if who is None:
        return None
    shown = msgspec.to_builtins(who)
    return {**shown, "scopes": sorted(shown["scopes"])}


@step
async def ask(job: dict[str, Any]) -> Any:
    return _told(step_info().principal)


@step
def ask_in_thread(job: dict[str, Any]) -> Any:
    return _told(step_info().principal)


@step
async def ask_and_hold(job: dict[str, Any]) -> Any:
    """Writes down what it is told, in which attempt; then it is in flight until the test releases it."""
    info = step_info()
    line = msgspec.json.encode([info.attempt, os.getpid(), _told(info.principal)]) + b"\n"
    with Path(job["told"]).open("ab") as file:  # noqa: ASYNC230
        file.write(line)
    while not Path(job["until"]).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.02)
    return _told(info.principal)


@workflow
async def says_who(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    told = [await ctx.run(each, job) for each in (ask, ask_in_thread)]
    return {"workflow": _told(ctx.principal), "steps": told}


@workflow
async def says_who_later(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A step that is held stands between the first and the last."""
    told = [await ctx.run(each, job) for each in (ask, ask_and_hold, ask_in_thread)]
    return {"workflow": _told(ctx.principal), "steps": told}
