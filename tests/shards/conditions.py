"""Waits for what other tasks, threads and processes bring about."""

import asyncio
from collections.abc import Callable

_WITHIN_S = 10.0


async def until(is_so: Callable[[], bool]) -> None:
    """Return once it is so. Raises TimeoutError when that takes too long."""
    async with asyncio.timeout(_WITHIN_S):
        while not is_so():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.01)
