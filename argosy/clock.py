"""Injected time: code gets a `Clock` to read the time and to sleep, so that tests can put another one in its place."""

import asyncio
import time
from typing import Final, Protocol

# Linux's CLOCK_MONOTONIC stands still while the machine is suspended, but what other processes granted this one for
# some time expires meanwhile; CLOCK_BOOTTIME goes on. On macOS CLOCK_MONOTONIC goes on, and `time.monotonic` reads
# another clock, which does not.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """The source of durations and waiting. Times that are stored come from the database's clock, never from here."""

    def monotonic_s(self) -> float:
        """Return seconds that only grow, also while the process is stopped or the machine suspended; for durations."""
        ...

    def unix_ms(self) -> int:
        """Return the milliseconds since 1970 by this machine's clock; for ids and for display."""
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
