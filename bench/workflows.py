"""The workflows that the bench runs besides `echo`."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from argosy import Context, emit, step, step_info, workflow


@workflow
async def bench_waits(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for a signal and return when the code went on: seconds since 1970 by the clock of the bench's machine."""
    await ctx.wait_signal("go")
    return {"resumed_at_s": time.time()}


@step
async def say(job: dict[str, Any]) -> None:
    """Emit a frame every interval, from a given moment on and for a given time.

    Each says when it was emitted, in seconds since 1970.
    """
    await asyncio.sleep(max(0.0, job["begins_at_s"] - time.time()))
    ends_s = time.monotonic() + job["duration_s"]
    while time.monotonic() < ends_s:
        await asyncio.sleep(job["interval_s"])
        emit("answer", text=f"{time.time():.6f} ")


@workflow
async def bench_says(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(say, job)


FRAMES = ["x" * 20] * 20


@step
async def say_at_once(job: dict[str, Any]) -> None:
    for frame in FRAMES:
        emit("answer", text=frame)


@step
async def answer_at_once(job: dict[str, Any]) -> str:
    """Return as many bytes in the durable event as `say_at_once` leaves there."""
    return "".join(FRAMES)


@workflow
async def bench_unwatched(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(say_at_once, job)


@workflow
async def bench_silent(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(answer_at_once, job)


@step
async def nap(job: dict[str, Any]) -> None:
    await asyncio.sleep(0.05)


@workflow
async def bench_naps(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(nap, job)


@step
async def hold(job: dict[str, Any]) -> None:
    """Write down which process runs the step since when, and go on until the file `released` is there.

    Both files are in the folder of the job.
    """
    folder = Path(job["folder"])
    info = step_info()
    with (folder / "calls").open("a") as calls:
        calls.write(f"{info.turn_id} {info.attempt} {os.getpid()} {time.time()}\n")
    while not (folder / "released").exists():  # noqa: ASYNC110 — another process makes it
        await asyncio.sleep(0.1)


@workflow
async def bench_holds(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(hold, job)


@step
async def hand_back(number: int) -> int:
    return number


@workflow
async def bench_nothing(ctx: Context, steps: int) -> int:
    return steps


@workflow
async def bench_one(ctx: Context, steps: int) -> int:
    return await ctx.run(hand_back, steps)


@workflow
async def bench_in_a_row(ctx: Context, steps: int) -> int:
    for number in range(steps):
        await ctx.run(hand_back, number)
    return steps


@workflow
async def bench_at_once(ctx: Context, steps: int) -> int:
    return len(await asyncio.gather(*(ctx.run(hand_back, number) for number in range(steps))))
