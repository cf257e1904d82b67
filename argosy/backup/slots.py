"""Work on many graphs, of which so many are worked at at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

G = TypeVar("G")
T = TypeVar("T")


async def for_each(graphs: Iterable[G], work: Callable[[G], Awaitable[T]], at_once: int) -> list[T]:
    """Work on each, and return what came of each, in their order. Raises the first error as it was, once all others
    have been cut off.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(graph: G) -> T:
        async with slots:
            return await work(graph)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in graphs]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]
