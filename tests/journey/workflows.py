"""Workflows of the journey and crash tests, written as a user writes them. Input: {"sink", "session", …}.

Every step reports to the sink under the idempotency key that it was given. `before_effect` and `after_effect` are the
two sides of an effect at which a test may kill the worker.
"""

import asyncio
import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from argosy import Context, SyncContext, crash_points, emit, step, step_info, workflow
from tests.checker.sink_client import cause, cause_synchronously


def _effect(job: dict[str, Any]) -> dict[str, Any]:
    info = step_info()
    return {
        "turn_id": str(info.turn_id),
        "step_key": info.step_key,
        "idempotency_key": info.idempotency_key,
        "session": job["session"],
        "attempt": info.attempt,
        "pid": os.getpid(),
        "delay_s": job.get("effect_s", 0),
        "fail_times": job.get("fail_times", 0),
    }


@step
async def touch(job: dict[str, Any]) -> int:
    """One effect at the sink."""
    crash_points.reach("before_effect")
    number = await cause(job["sink"], _effect(job))
    crash_points.reach("after_effect")
    return number


@step(retries=5)
async def stumble(job: dict[str, Any]) -> int:
    """Fails as often as the sink was told to refuse, and is tried again."""
    return await cause(job["sink"], _effect(job))


@step(effect="at_most_once")
async def touch_at_most_once(job: dict[str, Any]) -> int:
    number = await cause(job["sink"], _effect(job))
    crash_points.reach("after_effect")
    return number


@step
def touch_in_thread(job: dict[str, Any]) -> int:
    return cause_synchronously(job["sink"], _effect(job))


@step
async def dawdle(job: dict[str, Any]) -> int:
    """An effect, and then time until the step returns."""
    number = await cause(job["sink"], _effect(job))
    await asyncio.sleep(job["step_s"])
    return number


@workflow
async def steps(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """n effects, one after the other."""
    return {"numbers": [await ctx.run(touch, job) for _ in range(job.get("n", 1))]}


@workflow
async def waits(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """An effect, `signals` signals "go" (1 unless said), an effect."""
    await ctx.run(touch, job)
    payloads = [await ctx.wait_signal("go", timeout_s=job.get("timeout_s")) for _ in range(job.get("signals", 1))]
    await ctx.run(touch, job)
    return {"payloads": payloads}


@workflow
async def sleeps(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """An effect, a durable sleep, an effect."""
    await ctx.run(touch, job)
    await ctx.sleep(job["sleep_s"])
    await ctx.run(touch, job)
    return {}


@workflow
async def naps(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A durable sleep, and nothing else."""
    await ctx.sleep(job["sleep_s"])
    return {}


@workflow
async def races(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """`n` times a signal "go" or a month, whatever comes first, written by hand; then a signal with a timeout."""
    payloads = []
    for _ in range(job["n"]):
        message = asyncio.ensure_future(ctx.wait_signal("go"))
        alarm = asyncio.ensure_future(ctx.sleep(30 * 86_400))
        await asyncio.wait({message, alarm}, return_when=asyncio.FIRST_COMPLETED)
        alarm.cancel()
        payloads.append(message.result())
    payloads.append(await ctx.wait_signal("go", timeout_s=30 * 86_400))
    return {"payloads": payloads}


@workflow
async def holds_or_stops(ctx: Context, job: dict[str, Any]) -> Any:
    """A step that is held, or an hour, whatever comes first."""
    held = asyncio.ensure_future(ctx.run(hold, job))
    hour = asyncio.ensure_future(ctx.sleep(3_600))
    await asyncio.wait({held, hour}, return_when=asyncio.FIRST_COMPLETED)
    return "stopped" if hour.done() else "held"


@workflow
async def stumbles(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A step that fails `fail_times` times and then succeeds."""
    return {"number": await ctx.run(stumble, job)}


@workflow
async def once(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """An effect that must never be repeated."""
    return {"number": await ctx.run(touch_at_most_once, job)}


@workflow
async def threads(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A synchronous step."""
    return {"number": await ctx.run(touch_in_thread, job)}


@workflow
async def dawdles(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """`n` slow steps of `step_s` each."""
    return {"numbers": [await ctx.run(dawdle, job) for _ in range(job.get("n", 1))]}


@workflow
async def gives_up(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """The code stops waiting for a slow step, and then waits for a person."""
    try:
        async with asyncio.timeout(0.05):
            await ctx.run(dawdle, {**job, "step_s": 30})
    except TimeoutError:
        pass
    return {"word": await ctx.wait_signal("word")}


async def _until_exists(path: str) -> None:
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 — it is the test's process that makes it
        await asyncio.sleep(0.02)


@step
async def hold(job: dict[str, Any]) -> int:
    """An effect; then the step is in flight until the test releases it."""
    number = await cause(job["sink"], _effect(job))
    await _until_exists(job["until"])
    return number


@step(effect="at_most_once")
async def hold_at_most_once(job: dict[str, Any]) -> int:
    number = await cause(job["sink"], _effect(job))
    await _until_exists(job["until"])
    return number


@workflow
async def holds(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """An effect, one in flight until it is released, an effect."""
    before = await ctx.run(touch, job)
    held = await ctx.run(hold, job)
    return {"numbers": [before, held, await ctx.run(touch, job)]}


@workflow
async def holds_once(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """The same, and the one in flight must never be repeated."""
    await ctx.run(touch, job)
    await ctx.run(hold_at_most_once, job)
    return {"number": await ctx.run(touch, job)}


@step
async def tell(job: dict[str, Any]) -> str:
    """Says the numbers from 0 on, one each `word_s`, until the test releases it or `words` are said."""
    await cause(job["sink"], _effect(job))
    text = ""
    for number in range(job.get("words", 1_000_000)):
        if "until" in job and Path(job["until"]).exists():  # noqa: ASYNC240
            break
        emit("answer", text=f"{number} ")
        text += f"{number} "
        await asyncio.sleep(job.get("word_s", 0.01))
    return text


@workflow
async def tells(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A step that shows its text while it makes it; then another effect."""
    text = await ctx.run(tell, job)
    return {"text": text, "number": await ctx.run(touch, job)}


def _die(job: dict[str, Any]) -> None:
    """kill -9 of this process, `deaths` times in all (for ever unless said); they are counted in the file `counter`."""
    counter = Path(job["counter"])
    died = counter.stat().st_size if counter.exists() else 0
    if died < job.get("deaths", 1_000):
        with counter.open("ab") as file:
            file.write(b".")
        if job.get("how") == "exit":
            os._exit(1)
        if job.get("how") == "segv":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)


@step
async def die(job: dict[str, Any]) -> int:
    _die(job)
    return await cause(job["sink"], _effect(job))


@workflow
async def dies(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Kills its worker at the first line of a step, behind `n` steps that succeed."""
    for _ in range(job.get("n", 0)):
        await ctx.run(touch, job)
    return {"number": await ctx.run(die, job)}


@workflow
async def dies_after_nap(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Kills its worker each time that it wakes up, before anything of that is recorded."""
    await ctx.sleep(0.3)
    _die(job)
    return {"number": await ctx.run(touch, job)}


@workflow
async def dies_in_body(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """Kills its worker before its first durable operation."""
    _die(job)
    return {"number": await ctx.run(touch, job)}


@step
async def block(job: dict[str, Any]) -> int:
    """Blocks the event loop as careless code does, the first time that it runs."""
    number = await cause(job["sink"], _effect(job))
    if not Path(job["counter"]).exists():  # noqa: ASYNC240
        Path(job["counter"]).touch()  # noqa: ASYNC240
        time.sleep(job["block_s"])  # noqa: ASYNC251
    return number


@workflow
async def blocks(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A step that blocks everything in its process for `block_s`."""
    return {"number": await ctx.run(block, job)}


@step
async def say(job: dict[str, Any]) -> str:
    await cause(job["sink"], _effect(job))
    return str(job["text"])


@workflow
async def says(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """A step whose result is `text`."""
    return {"text": await ctx.run(say, job)}


@step
async def make_large(number: int, size: int) -> str:
    return chr(97 + number % 26) * size


@workflow
async def gathers(ctx: Context, job: dict[str, Any]) -> dict[str, Any]:
    """`n` results of `size` bytes at once, and then, unless `is_waiting` is false, a signal "go"."""
    await ctx.run(touch, job)
    parts = await asyncio.gather(*(ctx.run(make_large, number, job["size"]) for number in range(job["n"])))
    word = await ctx.wait_signal("go") if job.get("is_waiting", True) else None
    await ctx.run(touch, job)
    return {"size": sum(map(len, parts)), "word": word}


@workflow
async def compensates(ctx: Context, job: dict[str, Any]) -> None:
    """An effect; `at` (a step, a gather, a signal) it stays until it is cancelled; three effects to clean up, of which
    the second is in flight until it is released, in a gather two by two.
    """
    await ctx.run(touch, job)
    try:
        if job["at"] == "step":
            await ctx.run(dawdle, {**job, "step_s": 3_600})
        elif job["at"] == "gather":
            await asyncio.gather(_compensated(ctx, job), _compensated(ctx, job))
        else:
            await ctx.wait_signal("go")
    except asyncio.CancelledError:
        await ctx.run(touch, job)
        await ctx.run(hold, job)
        await ctx.run(touch, job)
        raise


async def _compensated(ctx: Context, job: dict[str, Any]) -> None:
    try:
        await ctx.wait_signal("go")
    except asyncio.CancelledError:
        await ctx.run(touch, job)
        raise


@workflow
def compensates_in_thread(ctx: SyncContext, job: dict[str, Any]) -> None:
    """As `compensates` at a signal."""
    ctx.run(touch, job)
    try:
        ctx.wait_signal("go")
    except asyncio.CancelledError:
        ctx.run(touch, job)
        ctx.run(hold, job)
        ctx.run(touch, job)
        raise


@workflow
async def swallows(ctx: Context, job: dict[str, Any]) -> None:
    """Hears of no cancel."""
    while True:
        with suppress(asyncio.CancelledError):
            await ctx.wait_signal("go")
