"""The loops of a worker: none of them ends before the process does, unless something is lost."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first(until: Coroutine[Any, Any, Any], *tasks: "asyncio.Task[None]") -> None:
    """Until `until` returns; a task that ends before is a bug or a lost cause, and its error is raised."""
    waiter = asyncio.create_task(until)
    done, _ = await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    for task in done:
        task.result()
