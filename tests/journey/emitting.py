"""Workflows that show something while they run, for the tests of what becomes of it."""

import asyncio
import time
from pathlib import Path
from typing import Any

from argosy import Context, SyncContext, emit, step, step_info, workflow
from tests.checker.sink_client import cause


async def _until_exists(path: str) -> None:
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 — it is the test's process that makes it
        await asyncio.sleep(0.02)


@step
async def flood(count: int) -> int:
    for number in range(count):
        emit("tokens", text=f"{number % 10}")
        if number % 100 == 0:
            await asyncio.sleep(0)
    return count


@step
def count_in_thread(to: int) -> int:
    emit("state", json={"count": 0})
    for number in range(1, to + 1):
        emit("state", patch=[{"op": "replace", "path": "/count", "value": number}])
    return to


@step(retries=2, backoff_s=0.01, backoff_s_max=0.01)
async def third_time() -> str:
    emit("tokens", text=f"try {step_info().try_number}")
    if step_info().try_number < 3:
        raise ValueError("again")
    return "third"


@step
async def too_much() -> None:
    emit("tokens", text="x" * 2_000_000)


@step(private=True, retries=1, backoff_s=0.01, backoff_s_max=0.01)
async def secret_step() -> None:
    emit("secret_channel", text="secret_text")
    raise LookupError("secret_message")


@step(private=("secret_field",))
async def half_secret() -> dict[str, Any]:
    return {"secret_field": "secret_value", "open": 1}


@workflow
async def emits(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Everything that emits, and waits between."""
    emit("log", text="began ")
    began_s = time.perf_counter()
    await asyncio.gather(ctx.run(flood, 10_000), ctx.run(count_in_thread, 50))
    took_s = time.perf_counter() - began_s
    await ctx.run(third_time)
    await ctx.wait_signal("go")
    emit("log", text="went on ")
    await ctx.sleep(0.05)
    emit("log", text="ended")
    return {"took_s": took_s}


@workflow
def emits_in_thread(ctx: SyncContext, job: dict[str, Any]) -> int:
    emit("log", text="a")
    ctx.sleep(0.05)
    emit("log", text="b")
    return ctx.run(count_in_thread, 3)  # type: ignore[no-any-return]


@workflow
async def emits_too_much(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(too_much)


@workflow
async def keeps_secrets(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(half_secret)
    await ctx.run(secret_step)


@step
async def speak(job: dict[str, Any]) -> str:
    """Half of what it says, an effect, and the rest when the test says so."""
    info = step_info()
    emit("tokens", text="half ")
    effect = {
        "turn_id": str(info.turn_id),
        "step_key": info.step_key,
        "idempotency_key": info.idempotency_key,
        "session": job["session"],
        "attempt": info.attempt,
        "pid": 0,
        "delay_s": 0,
        "fail_times": 0,
    }
    await cause(job["sink"], effect)
    await _until_exists(job["until"])
    emit("tokens", text="whole")
    return "half whole"


@workflow
async def speaks(ctx: Context, job: dict[str, Any]) -> str:
    """A suspend, and a step that speaks until it is released."""
    emit("log", text="a")
    await ctx.sleep(0.05)
    emit("log", text="b")
    said: str = await ctx.run(speak, job)
    emit("log", text="c")
    return said
