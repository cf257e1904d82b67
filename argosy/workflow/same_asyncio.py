"""Functions of asyncio that are the same in every process, and in every version of Python, under a turn's loop.

Python's own `as_completed` and `all_tasks` go through sets in the order of memory addresses, and what `gather` returns
has its place in a set by its address; so branches got other numbers, and other keys, in a replay. `wait_for` makes a
task of what it awaits up to Python 3.11 and not after it; so keys would be others when Python is upgraded.
`wrap_future` waits for a thread, which a turn's loop never hears of: it says so. Under any other loop nothing changes.
"""

import asyncio
import asyncio.futures
import asyncio.tasks
from asyncio.events import _get_running_loop
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from functools import wraps
from typing import Any, Final

from argosy.errors import WorkflowError
from argosy.workflow.turn_loop import TurnLoop

_as_completed = asyncio.as_completed
_wait_for = asyncio.wait_for
_all_tasks = asyncio.all_tasks
_wrap_future = asyncio.wrap_future
_Gathering: Final[Any] = asyncio.tasks._GatheringFuture  # type: ignore[attr-defined]


@wraps(_as_completed)
def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Iterator[Any]:
    """Tasks are made in the order in which their coroutines are given."""
    loop = _get_running_loop()
    if isinstance(loop, TurnLoop) and not (asyncio.isfuture(fs) or asyncio.iscoroutine(fs)):
        fs = list(dict.fromkeys(asyncio.ensure_future(each, loop=loop) for each in fs))
    return _as_completed(fs, timeout=timeout)


@wraps(_wait_for)
def wait_for(fut: Awaitable[Any], timeout: float | None) -> Coroutine[Any, Any, Any]:
    """What it awaits runs in the task that awaits it, as from Python 3.12 on."""
    if isinstance(_get_running_loop(), TurnLoop) and (timeout is None or timeout > 0):
        return _within(fut, timeout)
    return _wait_for(fut, timeout)


@wraps(_all_tasks)
def all_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """In the order in which they were made, the turn's first one among them."""
    of = _get_running_loop() if loop is None else loop
    return of.unfinished() if isinstance(of, TurnLoop) else _all_tasks(loop)


@wraps(_wrap_future)
def wrap_future(future: Any, *, loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Future[Any]:
    """Refused in a workflow."""
    if isinstance(_get_running_loop(), TurnLoop) and not asyncio.isfuture(future):
        raise WorkflowError(
            "the future of a thread cannot be awaited in a workflow: threads belong in a step (ctx.run)"
        )
    return _wrap_future(future, loop=loop)


class _NumberedGathering(_Gathering):  # type: ignore[misc]
    """What gather returns, with a number as the futures of a turn's loop have one."""

    def __init__(self, children: Any, *, loop: TurnLoop) -> None:
        self._number = loop.next_future()
        super().__init__(children, loop=loop)

    def __hash__(self) -> int:
        return self._number


def install() -> None:
    """From here on asyncio has these."""
    for name, function in (("as_completed", as_completed), ("wait_for", wait_for), ("all_tasks", all_tasks)):
        setattr(asyncio, name, function)
        setattr(asyncio.tasks, name, function)
    asyncio.wrap_future = asyncio.futures.wrap_future = wrap_future
    asyncio.tasks._GatheringFuture = _gathering  # type: ignore[attr-defined]


async def _within(awaited: Awaitable[Any], timeout_s: float | None) -> Any:
    async with asyncio.timeout(timeout_s):
        return await awaited


def _gathering(children: Any, *, loop: asyncio.AbstractEventLoop) -> Any:
    if isinstance(loop, TurnLoop):
        return _NumberedGathering(children, loop=loop)
    return _Gathering(children, loop=loop)
