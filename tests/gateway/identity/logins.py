"""What tests of logins have in common: a clock that is ahead, and how gateways are opened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2

from argosy.clock import SystemClock

HOUR_S: Final = 3_600.0


class MovedClock(SystemClock):
    """The machine's, both times ahead by as much as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def unix_ms(self) -> int:
        return super().unix_ms() + int(self.ahead_s * 1_000)


Near = Callable[..., Awaitable[httpx2.AsyncClient]]


async def until(look: Callable[[], Awaitable[str]], wanted: str) -> None:
    async with asyncio.timeout(5):
        while await look() != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
