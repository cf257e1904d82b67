"""What a workflow may do at once: the examples of docs/workflows.md, which shows them as they stand here.

`argosy up --workflows examples/patterns.py`, then `argosy turn submit SESSION branches` … Each waits for the signal
`go` somewhere: there it is suspended, and its code runs again from its first line when the signal comes.
"""

import asyncio
import sys
from contextvars import ContextVar
from typing import Any

from argosy import Context, StepFailedError, WaitTimeoutError, step, workflow


@step
async def ask(source: str, takes_s: float = 0.1) -> str:
    """Stands for the call of a model or a tool."""
    await asyncio.sleep(takes_s)
    return f"{source} says so"


@step
async def fail(source: str, takes_s: float = 0.1) -> str:
    await asyncio.sleep(takes_s)
    raise ValueError(f"{source} is broken")


@step
async def report(what: Any) -> Any:
    """Stands for an effect that depends on what the workflow has decided."""
    return what


# branches
@workflow
async def branches(ctx: Context) -> list[str]:
    async def research(source: str, takes_s: float) -> str:
        answer = await ctx.run(ask, source, takes_s)
        return await ctx.run(ask, f"{source}'s editor, whom {answer}", 0.5 - takes_s)

    found = await asyncio.gather(research("Ada", 0.4), research("Bob", 0.1), research("Cy", 0.25))
    await ctx.wait_signal("go")
    return [await ctx.run(report, each) for each in found]


# first
@workflow
async def first(ctx: Context) -> list[str]:
    asked = [asyncio.create_task(ctx.run(ask, "Ada", 3.0)), asyncio.create_task(ctx.run(ask, "Bob", 0.2))]
    done, others = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    acted_on = await ctx.run(report, done.pop().result())
    await ctx.wait_signal("go")
    return [acted_on, next(task.result() for task in asked if not task.cancelled())]


# arrivals
@workflow
async def arrivals(ctx: Context) -> list[str]:
    asked = [ctx.run(ask, "Ada", 0.6), ctx.run(ask, "Bob", 0.1), ctx.run(ask, "Cy", 0.35)]
    told = [await ctx.run(report, await each) for each in asyncio.as_completed(asked)]
    await ctx.wait_signal("go")
    return told


# errors
@workflow
async def errors(ctx: Context) -> list[str]:
    try:
        await asyncio.gather(ctx.run(fail, "the slow one", 0.6), ctx.run(fail, "the quick one", 0.1))
    except StepFailedError as error:
        seen = str(error)
    reported = await ctx.run(report, seen)
    await ctx.wait_signal("go")
    return [reported, seen]


# group
@workflow
async def group(ctx: Context) -> list[str]:
    seen: list[str] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ctx.run(ask, "who is given up", 3.0))
            tasks.create_task(ctx.run(fail, "the quick one", 0.1))
    except* StepFailedError as failed:
        seen = [str(error) for error in failed.exceptions]
    reported = await ctx.run(report, seen)
    await ctx.wait_signal("go")
    return [*reported, *seen]


# alarm
@workflow
async def alarm(ctx: Context) -> list[str]:
    work = asyncio.create_task(ctx.run(ask, "Ada", 3.0))
    clock = asyncio.create_task(ctx.sleep(0.3))
    await asyncio.wait({work, clock}, return_when=asyncio.FIRST_COMPLETED)
    outcome = "in time" if work.done() else "too late"
    work.cancel()
    reported = await ctx.run(report, outcome)
    await ctx.wait_signal("go")
    return [reported, outcome]


# stop button
@workflow
async def stop_button(ctx: Context) -> list[int]:
    stop = asyncio.create_task(ctx.wait_signal("stop"))
    done = 0
    while not stop.done() and done < 50:
        await ctx.run(ask, f"step {done}", 0.1)
        done += 1
    reported = await ctx.run(report, done)
    await ctx.wait_signal("go")
    return [reported, done]


# interruptible
@workflow
async def interruptible(ctx: Context) -> list[int]:
    stop = asyncio.create_task(ctx.wait_signal("stop"))
    done = 0
    while not stop.done() and done < 50:
        work = asyncio.create_task(ctx.run(ask, f"step {done}", 0.1))
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            done += 1
        else:
            work.cancel()
    reported = await ctx.run(report, done)
    await ctx.wait_signal("go")
    return [reported, done]


# reminders
@workflow
async def reminders(ctx: Context) -> list[Any]:
    async def remind() -> None:
        while True:
            await ctx.sleep(0.3)
            await ctx.run(report, "please decide")

    reminding = asyncio.create_task(remind())
    decision = await ctx.wait_signal("go")
    reminding.cancel()
    return [await ctx.run(report, f"decided: {decision}"), reminding.done()]


# deadline
@workflow
async def deadline(ctx: Context) -> list[str]:
    try:
        answer = await asyncio.wait_for(ctx.run(ask, "Ada", 3.0), 0.3)
    except TimeoutError:
        answer = await ctx.run(ask, "the fallback")
    try:
        async with asyncio.timeout(0.3):
            further = await ctx.run(ask, "Bob", 3.0)
    except TimeoutError:
        further = await ctx.run(ask, "the other fallback")
    await ctx.wait_signal("go")
    return [answer, further]


# messages
@step
async def think(messages: list[str]) -> list[str]:
    messages.append("an answer")  # changes the step's own copy
    return messages


@workflow
async def messages(ctx: Context) -> list[Any]:
    conversation = ["a question"]
    thought = await ctx.run(think, conversation)
    counted = await ctx.run(report, len(conversation))
    await ctx.wait_signal("go")
    return [counted, len(conversation), thought]


# cause
@step
async def load_profile() -> None:
    try:
        raise KeyError("colour")
    except KeyError as error:
        raise RuntimeError("no profile") from error


@workflow
async def cause(ctx: Context) -> list[str]:
    try:
        await ctx.run(load_profile)
    except StepFailedError as error:
        why = error.__cause__
        seen = [error.error_type, why.error_type if isinstance(why, StepFailedError) else "nothing"]
    reported = await ctx.run(report, seen)
    await ctx.wait_signal("go")
    return [*reported, *seen]


# variables
who: ContextVar[str] = ContextVar("who", default="nobody")


@step
async def log_in(name: str) -> str:
    before = who.get()
    who.set(name)  # is the step's own, too
    return before


@workflow
async def variables(ctx: Context) -> list[str]:
    who.set("the workflow")
    inside = await ctx.run(log_in, "the step")
    after = await ctx.run(report, who.get())
    await ctx.wait_signal("go")
    return [inside, after, who.get()]


# team
@workflow
async def team(ctx: Context) -> list[str]:
    tasks: asyncio.Queue[str] = asyncio.Queue()
    desks, written, first_done = asyncio.Semaphore(2), asyncio.Lock(), asyncio.Event()
    minutes: list[str] = []
    for number in range(6):
        tasks.put_nowait(f"task {number}")

    async def work(name: str) -> None:
        while not tasks.empty():
            task = tasks.get_nowait()
            async with desks:
                answer = await ctx.run(ask, f"{name} on {task}", 0.05)
            async with written:
                minutes.append(await ctx.run(report, answer))
            first_done.set()

    async with asyncio.TaskGroup() as workers:
        for name in ("Ada", "Bob", "Cy"):
            workers.create_task(work(name))
        await first_done.wait()
    reported = await ctx.run(report, minutes)
    await ctx.wait_signal("go")
    return [*reported, *minutes]


# patient
@workflow
async def patient(ctx: Context) -> Any:
    while True:
        try:
            return await ctx.wait_signal("go", timeout_s=1_000)
        except WaitTimeoutError:
            await ctx.run(report, "still waiting")


# plain
@workflow
def plain(ctx: Any) -> list[str]:
    answer = ctx.run(ask, "Ada")
    try:
        ctx.run(fail, "Bob")
    except StepFailedError as error:
        answer = ctx.run(report, f"{answer}; {error}")
    ctx.wait_signal("go")
    return [answer, ctx.run(ask, "Cy")]


# tidy
@workflow
async def tidy(ctx: Context) -> list[str]:
    answer = await ctx.run(ask, "Ada")
    closed: list[str] = []
    try:
        await ctx.wait_signal("go")
    finally:
        closed.append("closed")  # for memory only: at a suspend it runs, and must not use ctx
    await ctx.run(report, "given back")  # what must happen is in the line of the code
    return [answer, *closed]


# exits
@workflow
async def exits(ctx: Context) -> None:
    async def leave() -> None:
        await ctx.run(ask, "Ada")
        await ctx.wait_signal("go")
        sys.exit(3)

    await asyncio.gather(leave(), ctx.run(ask, "Bob"))
