"""Waiting for what another task or process does, bounded."""

import asyncio
from collections.abc import Callable


async def until(is_true: Callable[[], object], within_s: float = 20.0) -> None:
    """Returns once it is. Raises AssertionError."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        if is_true():
            return
        assert loop.time() < deadline_s, f"it did not become so within {within_s} s"
        await asyncio.sleep(0.005)
