"""Tasks and futures of a turn's loop, numbered so that a set of them has the same order in every process."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from argosy.errors import WorkflowError


class TurnTask(asyncio.Task[Any]):
    """A task of a workflow other than its first. number: in the order in which the tasks are made, from 1."""

    __slots__ = ("context", "number")

    def __init__(self, coro: Coroutine[Any, Any, Any], number: int, context: Context, **options: Any) -> None:
        self.number = number
        self.context = context
        super().__init__(coro, context=context, **options)

    def __hash__(self) -> int:
        return self.number


class TurnFuture(asyncio.Future[Any]):
    """A future that the code of a workflow made, directly or by a Queue, an Event, a Lock and the like."""

    __slots__ = ("number",)

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


def number_of(task: Any) -> int:
    """Return the task's number; 0 for None. Raises WorkflowError for a task that the turn's loop did not make."""
    if task is None:
        return 0
    number: int | None = getattr(task, "number", None)
    if number is None:
        raise WorkflowError(
            "a task that was made by asyncio.Task(…) has no number, and so no keys: make tasks of a workflow with "
            "asyncio.create_task or a TaskGroup"
        )
    return number
