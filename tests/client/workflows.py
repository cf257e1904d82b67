"""Workflows of these tests, written as a user writes them."""

import asyncio
from pathlib import Path
from typing import Any

from argosy import Context, emit, step, workflow

WORDS = ("Once ", "upon ", "a ", "time ", "there ", "was ", "a ", "ship.")


@workflow
async def adds(ctx: Context, numbers: list[int]) -> int:
    return sum(numbers)


@workflow
async def fails(ctx: Context, why: str) -> None:
    raise LookupError(why)


@workflow
async def asks(ctx: Context) -> dict[str, Any]:
    """Waits for a signal."""
    return {"answer": await ctx.wait_signal("answer")}


@step
async def wait_for(path: str) -> str:
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 — it is the test's process that makes it
        await asyncio.sleep(0.02)
    return "seen"


@workflow
async def holds(ctx: Context, path: str) -> str:
    """Runs until a file is there."""
    return await ctx.run(wait_for, path)


@step
async def write(pause_s: float) -> str:
    for word in WORDS:
        emit("story", text=word)
        await asyncio.sleep(pause_s)
    return "".join(WORDS)


@workflow
async def tells(ctx: Context, pause_s: float) -> str:
    """A story, word by word."""
    return await ctx.run(write, pause_s)


@workflow
async def tells_and_holds(ctx: Context, path: str) -> str:
    """The story at once; runs until a file is there."""
    story = await ctx.run(write, 0.0)
    await ctx.run(wait_for, path)
    return story


@step
async def write_chapter(job: dict[str, Any]) -> str:
    said = [f"{job['name']} {number}, " for number in range(job["words"])]
    for word in said:
        emit("story", text=word)
        await asyncio.sleep(job["pause_s"])
    return "".join(said)


@workflow
async def novel(ctx: Context, job: dict[str, Any]) -> list[str]:
    """Chapters, and a table of contents that the workflow itself fills."""
    chapters = []
    for number in range(job["chapters"]):
        emit("contents", text=f"chapter {number}; ")
        chapters.append(await ctx.run(write_chapter, {**job, "name": f"{job['name']}.{number}"}))
    return chapters
