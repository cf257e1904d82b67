"""What is left of a workflow's frames when its attempt rests or ends: nothing, and nothing of them is recorded."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from argosy import Context, step, step_info, telemetry
from argosy.turn.events import Event
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

_VARIABLE: ContextVar[int] = ContextVar("variable", default=0)


@step
async def load(number: int) -> int:
    return number


async def _rest(code: Any, journal: ListJournal) -> list[EventDict]:
    """Run it until it rests, then drop its frames; what was logged."""
    with capture_logs() as logged:
        task = asyncio.create_task(run(code, journal=journal))
        await journal.is_resting.wait()
        journal.is_stopped = True
        task.cancel()
        await asyncio.wait([task])
    return logged


async def test_a_task_group_that_rests_leaves_no_frame_and_no_warning() -> None:
    alive: list[weakref.ref[Any]] = []

    class Thing:
        """Held by a frame."""

    async def code(ctx: Context) -> None:
        thing = Thing()
        alive.append(weakref.ref(thing))
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.wait_signal("a"))
            await ctx.wait_signal("b")

    logged = await _rest(code, ListJournal())

    assert [each for each in logged if each["event"] == telemetry.WORKFLOW_UNCLOSED] == []
    gc.collect()
    assert [each() for each in alive] == [None]


async def test_what_a_generator_awaits_ends_with_the_frames() -> None:
    reached: list[str] = []

    async def wait(ctx: Context) -> None:
        token = _VARIABLE.set(1)
        try:
            await ctx.wait_signal("a")
        finally:
            try:
                await asyncio.sleep(1)
            finally:
                _VARIABLE.reset(token)
                reached.append("end")

    async def waits(ctx: Context) -> AsyncIterator[None]:
        await wait(ctx)
        yield

    async def code(ctx: Context) -> None:
        async for _ in waits(ctx):
            pass

    await _rest(code, ListJournal())

    assert reached == ["end"]


async def test_awaits_in_a_finally_end_with_the_frame() -> None:
    reached: list[str] = []

    async def code(ctx: Context) -> None:
        try:
            await ctx.wait_signal("a")
        finally:
            try:
                reached.append("first")
                await asyncio.sleep(1)
            finally:
                reached.append("second")

    journal = ListJournal()
    await _rest(code, journal)

    assert reached == ["first", "second"]
    assert [kind for kind, _ in journal.outcomes()] == [Event.WAIT_STARTED]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_frame_that_catches_everything_is_let_go_of_and_said() -> None:
    async def code(ctx: Context) -> None:
        while True:
            try:
                await ctx.wait_signal("a")
            except BaseException:  # noqa: S112 — what user code must not do
                continue

    logged = await _rest(code, ListJournal())

    assert [each["event"] for each in logged] == [telemetry.WORKFLOW_UNCLOSED]
    gc.collect()  # which says, too, that it goes on


async def test_a_time_out_in_a_finally_records_no_time() -> None:
    async def code(ctx: Context) -> None:
        try:
            await ctx.wait_signal("a")
        finally:
            asyncio.get_running_loop().time()
            asyncio.get_running_loop().call_later(1, print)

    journal = ListJournal()
    await _rest(code, journal)

    assert [kind for kind, _ in journal.outcomes()] == [Event.WAIT_STARTED]


async def test_time_that_a_crash_took_is_told_anew_and_the_same_from_then_on() -> None:
    async def code(ctx: Context) -> list[float]:
        loop = asyncio.get_running_loop()
        second = asyncio.create_task(ctx.run(load, 2))
        await ctx.run(load, 1)
        between_s = loop.time()
        await second
        return [between_s, loop.time()]

    first = ListJournal()
    await run(code, journal=first)
    left = [row for row in first.rows if row[2] == Event.STEP_COMPLETED]  # the second ended in a hand-over
    journal = ListJournal(left, attempt=2)
    journal.now_s += 5
    told = await run(code, journal=journal)

    assert told == [journal.now_s, journal.now_s]
    again = ListJournal(journal.rows, attempt=3)
    again.now_s += 50
    assert await run(code, journal=again) == told
    assert again.rows == journal.rows


async def test_a_generator_ends_where_its_code_lets_go_of_it() -> None:
    async def code(ctx: Context) -> list[Any]:
        ended: list[Any] = []
        async for number in _numbers(ctx, ended):
            ended.append(number)
            break
        await ctx.sleep(0.01)
        return ended

    journal = ListJournal()
    assert await run(code, journal=journal) == [1, "ended"]
    assert await run(code, journal=ListJournal(journal.rows)) == [1, "ended"]


async def test_nothing_runs_of_a_generator_that_only_the_garbage_collector_finds() -> None:
    """When it does is another moment in each process."""

    async def code(ctx: Context, *, collects: bool) -> list[Any]:
        ended: list[Any] = []
        async for _ in (generator := _numbers(ctx, ended)):
            circle: list[Any] = [generator]
            circle.append(circle)
            break
        del generator, circle
        if collects:
            gc.collect()
        return [await asyncio.create_task(_key_of_a_step(ctx)), ended]

    async def early(ctx: Context) -> list[Any]:
        return await code(ctx, collects=True)

    async def late(ctx: Context) -> list[Any]:
        return await code(ctx, collects=False)

    gc.disable()
    try:
        assert await run(early) == await run(late) == ["1/tell", []]
    finally:
        gc.enable()


async def _numbers(ctx: Context, ended: list[Any]) -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        await ctx.run(load, 0)
        ended.append("ended")


@step
async def tell() -> str:
    return step_info().step_key


async def _key_of_a_step(ctx: Context) -> str:
    return await ctx.run(tell)
