"""Workflows of which histories are kept (tests/workflow/histories), so they never change: what the code of one asks
for is recorded there by a build of Argosy that counted the calls of all tasks of a turn together.

Every step returns a label of its own, which is noted when it runs.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from argosy import Context, StepFailedError, WaitTimeoutError, step, workflow

ran: list[str] = []
failed: set[str] = set()
on_run: list[Callable[[str], None]] = []


def note(label: str) -> str:
    ran.append(label)
    for hear in on_run:
        hear(label)
    return label


@step
async def a(label: str) -> str:
    note(label)
    await asyncio.sleep(0.001)
    return label


@step
async def b(label: str) -> str:
    note(label)
    await asyncio.sleep(0.001)
    return label


@step
async def noted_late(label: str) -> str:
    await asyncio.sleep(0.001)
    return note(label)


@step
def in_thread(label: str) -> str:
    return note(label)


@step
async def slow(label: str) -> str:
    note(label)
    await asyncio.sleep(0.3)
    return label


@step(retries=2, backoff_s=0.5)
async def flaky(label: str) -> str:
    if label not in failed:
        failed.add(label)
        note(f"a try of {label}")
        raise ConnectionError("not yet")
    return note(label)


@step
async def fails(label: str) -> str:
    note(label)
    raise ValueError(label)


@step(retries=0, effect="at_most_once")
async def once(label: str) -> str:
    return note(label)


# What goes on


@workflow
async def in_line(ctx: Context) -> list[Any]:
    told: list[Any] = [await ctx.run(a, f"a{number}") for number in range(3)]
    told.append(await ctx.run(in_thread, "in a thread"))
    try:
        await ctx.run(fails, "which fails")
    except StepFailedError as error:
        told.append([error.error_type, str(error)])
    told.append(await ctx.run(flaky, "at last"))
    told.append(await ctx.run(once, "once"))
    return [*told, await ctx.run(a, "a3")]


@workflow
async def with_waits(ctx: Context) -> list[Any]:
    began_at, name = await ctx.now(), await ctx.uuid()
    told: list[Any] = [await ctx.run(a, "before")]
    await ctx.sleep(60)
    told.append(await ctx.run(a, "after a sleep"))
    told.append(await ctx.wait_signal("go"))
    try:
        await ctx.wait_signal("never", timeout_s=5)
    except WaitTimeoutError as error:
        told.append(str(error))
    told.append(await ctx.run(a, "after waits"))
    return [*told, await ctx.wait_signal("go"), began_at.isoformat(), str(name)]


@workflow
def synchronous(ctx: Any) -> list[Any]:
    told = [ctx.run(a, "first"), ctx.run(in_thread, "second")]
    ctx.sleep(60)
    told.append(ctx.run(flaky, "third"))
    return [*told, ctx.wait_signal("go"), ctx.run(a, "fourth")]


@workflow
async def gathered(ctx: Context) -> list[Any]:
    told: list[Any] = await asyncio.gather(ctx.run(slow, "slow"), ctx.run(a, "a0"), ctx.run(a, "a1"), ctx.sleep(1))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.run(step, step.__name__)) for step in (b, in_thread)]
    told += [task.result() for task in tasks]
    return [*told, await ctx.wait_signal("go"), await ctx.run(a, "a2")]


@workflow
async def two_errors(ctx: Context) -> list[Any]:
    try:
        await asyncio.gather(ctx.run(fails, "the first"), ctx.run(fails, "the second"))
    except StepFailedError as error:
        seen = str(error)
    told = await ctx.run(a, f"reported {seen}")
    return [told, await ctx.wait_signal("go"), seen]


@workflow
async def stop_button(ctx: Context) -> list[Any]:
    stop = asyncio.create_task(ctx.wait_signal("stop"))
    told: list[Any] = []
    while not stop.done() and len(told) < 20:
        told.append(await ctx.run(a, f"a{len(told)}"))
    return [*told, await ctx.run(b, "stopped"), await ctx.wait_signal("go")]


@workflow
async def raced(ctx: Context) -> list[Any]:
    asked = [asyncio.create_task(ctx.run(slow, "slow")), asyncio.create_task(ctx.run(b, "quick"))]
    done, others = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    told = [await ctx.run(a, f"acted on {done.pop().result()}")]
    return [*told, await ctx.wait_signal("go"), await ctx.run(a, "at the end")]


@workflow
async def given_up(ctx: Context) -> list[Any]:
    try:
        told = await asyncio.wait_for(ctx.run(slow, "slow"), 0.05)
    except TimeoutError:
        told = await ctx.run(a, "the fallback")
    in_time = await asyncio.wait_for(ctx.run(b, "in time"), 60)
    return [told, in_time, await ctx.wait_signal("go"), await ctx.run(a, "at the end")]


@workflow
async def polled(ctx: Context) -> list[Any]:
    told: list[Any] = []
    async with asyncio.timeout(60):
        for number in range(3):
            told.append(await ctx.run(a, f"poll {number}"))
            await asyncio.sleep(0.01)
    return [*told, await ctx.wait_signal("go"), await ctx.run(a, "at the end")]


# What does from some places, and cannot from others


@workflow
async def stopped_in_the_same_moment(ctx: Context) -> list[Any]:
    stop = asyncio.create_task(ctx.wait_signal("stop"))
    told: list[Any] = []
    while not stop.done() and len(told) < 20:
        told.append(await ctx.run(noted_late, f"a{len(told)}"))
    return [*told, await ctx.run(b, "stopped"), await ctx.wait_signal("go")]


@workflow
async def waits_in_branches(ctx: Context) -> list[Any]:
    async def wait(name: str) -> Any:
        return await ctx.wait_signal(name, timeout_s=60)

    told = [await ctx.run(a, "before")]
    both = await asyncio.gather(wait("go"), wait("stop"), return_exceptions=True)
    return [*told, *(str(each) for each in both), await ctx.run(a, "after")]


@workflow
async def branches(ctx: Context) -> list[Any]:
    async def branch(name: str, first: Any) -> list[str]:
        return [await ctx.run(first, f"{name} first"), await ctx.run(a, f"{name} second")]

    told = await asyncio.gather(branch("Ada", slow), branch("Bob", b))
    return [*told, await ctx.wait_signal("go"), await ctx.run(b, "at the end")]


@workflow
async def beside_a_branch(ctx: Context) -> list[Any]:
    async def branch() -> str:
        return await ctx.run(slow, "of the branch")

    beside = asyncio.create_task(branch())
    told = [await ctx.run(b, "of the workflow")]
    told.append(await ctx.run(slow, "of the workflow, too"))
    return [*told, await beside, await ctx.wait_signal("go")]


@workflow
async def once_in_a_branch(ctx: Context) -> list[Any]:
    async def branch(name: str) -> str:
        return await ctx.run(once, name)

    return [*await asyncio.gather(branch("Ada"), branch("Bob")), await ctx.wait_signal("go")]


GO_ON = (in_line, with_waits, synchronous, gathered, two_errors, stop_button, raced, given_up, polled)
PARTED = (stopped_in_the_same_moment, waits_in_branches, branches, beside_a_branch, once_in_a_branch)
