"""Injected time: nothing else in the repository reads a clock or sleeps."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where durations and waiting come from. Moments that are written down come from the database, never from here."""

    def monotonic_s(self) -> float:
        """Seconds that only grow; for durations."""
        ...

    def unix_ms(self) -> int:
        """Milliseconds since 1970 by this machine's clock; for ids and for display."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait delay_s seconds (>= 0)."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
