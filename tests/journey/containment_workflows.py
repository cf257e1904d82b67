"""Workflows that raise what would end a program, in every place in which code of a turn runs."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from argosy import Context, step, workflow
from tests.journey.workflows import holds, touch  # noqa: F401 — the bystander's


class SpeechlessError(BaseException):
    def __str__(self) -> str:
        raise SystemExit(7)

    __repr__ = __str__


ERRORS: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator_exit": GeneratorExit,
    "speechless": SpeechlessError,
}


async def _leave(job: dict[str, Any]) -> None:
    await asyncio.sleep(0)
    _leave_now(job)


def _leave_now(job: dict[str, Any], *_: object) -> None:
    raise ERRORS[job["error"]]()


class _Dying:
    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job

    def __del__(self) -> None:
        _leave_now(self.job)


async def _numbers(job: dict[str, Any]) -> AsyncIterator[int]:
    try:
        yield 1
        yield 2
    finally:
        _leave_now(job)


# In workflows and in steps alike


async def _body(job: dict[str, Any]) -> None:
    _leave_now(job)


async def _gathered(job: dict[str, Any]) -> None:
    await asyncio.gather(_leave(job), asyncio.sleep(0.01))


async def _group(job: dict[str, Any]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_leave(job))
        group.create_task(asyncio.sleep(0.01))


_kept: list[Any] = []


async def _left_alone(job: dict[str, Any]) -> None:
    _kept.append(asyncio.create_task(_leave(job)))
    await asyncio.sleep(0.01)
    _kept.clear()


async def _callback(job: dict[str, Any]) -> None:
    asyncio.get_running_loop().call_soon(_leave_now, job)
    await asyncio.sleep(0.01)


async def _timer(job: dict[str, Any]) -> None:
    asyncio.get_running_loop().call_later(0.001, _leave_now, job)
    await asyncio.sleep(0.01)


async def _done_callback(job: dict[str, Any]) -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    task.add_done_callback(lambda _: _leave_now(job))
    await asyncio.sleep(0.01)


async def _finalizer(job: dict[str, Any]) -> None:
    _Dying(job)
    await asyncio.sleep(0.01)


async def _generator(job: dict[str, Any]) -> None:
    async for _ in _numbers(job):
        break
    await asyncio.sleep(0.01)


PLACES: dict[str, Callable[[dict[str, Any]], Coroutine[Any, Any, None]]] = {
    each.__name__.removeprefix("_"): each
    for each in (_body, _gathered, _group, _left_alone, _callback, _timer, _done_callback, _finalizer, _generator)
}


@step
async def raises(job: dict[str, Any]) -> str:
    await PLACES[job["place"]](job)
    return "nothing noticed"


@step
def raises_in_thread(job: dict[str, Any]) -> None:
    _leave_now(job)


@workflow
async def in_workflow(ctx: Context, job: dict[str, Any]) -> str:
    await PLACES[job["place"]](job)
    return "nothing noticed"


@workflow
async def in_step(ctx: Context, job: dict[str, Any]) -> str:
    return await ctx.run(raises, job)


@workflow
async def in_thread(ctx: Context, job: dict[str, Any]) -> None:
    await ctx.run(raises_in_thread, job)


@workflow
def in_synchronous(ctx: Any, job: dict[str, Any]) -> None:
    ctx.run(touch, job)
    _leave_now(job)


@contextlib.contextmanager
def _leaving(job: dict[str, Any]) -> Iterator[None]:
    try:
        yield
    finally:
        if sys.exc_info()[0] is not None:
            _leave_now(job)


@workflow
async def at_suspend(ctx: Context, job: dict[str, Any]) -> Any:
    with _leaving(job):
        return await ctx.wait_signal("go")


@workflow
def at_suspend_synchronously(ctx: Any, job: dict[str, Any]) -> Any:
    with _leaving(job):
        return ctx.wait_signal("go")
