"""Functions of asyncio that are the same in every process, and in every version of Python, under a turn's loop.

Python's own `as_completed` and `all_tasks` go through sets in the order of memory addresses, and the future that
`gather` returns has its place in a set by its address. So in a replay the branches would get other numbers, and with
them other keys. `wait_for` makes a task of what it awaits up to Python 3.11 but not from 3.12 on, so an upgrade of
Python would change the keys. `wrap_future` would wait for a thread, of which a turn's loop never hears: it is refused.
Under any other loop nothing changes.
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
    """asyncio.as_completed that makes its tasks in the order of the arguments."""
    loop = _get_running_loop()
    if isinstance(loop, TurnLoop) and not (asyncio.isfuture(fs) or asyncio.iscoroutine(fs)):
        fs = list(dict.fromkeys(asyncio.ensure_future(each, loop=loop) for each in fs))
    return _as_completed(fs, timeout=timeout)


@wraps(_wait_for)
def wait_for(fut: Awaitable[Any], timeout: float | None) -> Coroutine[Any, Any, Any]:
    """asyncio.wait_for that runs what it awaits in the calling task, as Python does from 3.12 on."""
    if isinstance(_get_running_loop(), TurnLoop) and (timeout is None or timeout > 0):
        return _within(fut, timeout)
    return _wait_for(fut, timeout)


@wraps(_all_tasks)
def all_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """asyncio.all_tasks, in the order in which the tasks were made; the turn's first task is one of them."""
    of = _get_running_loop() if loop is None else loop
    return of.unfinished() if isinstance(of, TurnLoop) else _all_tasks(loop)


@wraps(_wrap_future)
def wrap_future(future: Any, *, loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Future[Any]:
    """asyncio.wrap_future, which raises WorkflowError in a workflow for the future of a thread."""
    if isinstance(_get_running_loop(), TurnLoop) and not asyncio.isfuture(future):
        raise WorkflowError(
            "the future of a thread cannot be awaited in a workflow: threads belong in a step (ctx.run)"
        )
    return _wrap_future(future, loop=loop)


class _NumberedGathering(_Gathering):  # type: ignore[misc]
    """The future that gather returns, numbered as the futures of a turn's loop are."""

    def __init__(self, children: Any, *, loop: TurnLoop) -> None:
        self._number = loop.next_future()
        super().__init__(children, loop=loop)

    def __hash__(self) -> int:
        return self._number


def install() -> None:
    """Put these functions in the place of asyncio's own."""
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
