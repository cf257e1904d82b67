"""Injected time: nothing else in the repository reads a clock or sleeps."""

import asyncio
import time
from typing import Final, Protocol

# Linux's monotonic clock stands still while the machine is suspended; what others gave us for a time is over all the
# same. Elsewhere (macOS) the clock of that name goes on, and `time.monotonic` is another one.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Where durations and waiting come from. Moments that are written down come from the database, never from here."""

    def monotonic_s(self) -> float:
        """Seconds that only grow, also while the process is stopped or the machine suspended; for durations."""
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
        return time.clock_gettime(_CLOCK)

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
