"""Clocks for tests: one that moves when it is told to, and the machine's, ahead by as much as a test says."""

import asyncio

from argosy.clock import SystemClock


class HandClock:
    """argosy/clock.py, Clock. now_s is the test's to move; a sleep moves it too, and takes no time."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ms(self) -> int:
        return int(self.now_s * 1_000)

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


class AheadClock(SystemClock):
    """ahead_s: as after a stop of the process of that many seconds."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


class WaitingClock:
    """argosy/clock.py, Clock. A sleep lasts until the test has moved the time so far."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_ms(self) -> int:
        return int(self.now_s * 1_000)

    async def sleep(self, delay_s: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_s + delay_s, future))
        await future

    async def move(self, by_s: float) -> None:
        """Move the time on, and let everybody who is due go as far as they get."""
        self.now_s += by_s
        for due_s, future in self._sleepers:
            if due_s <= self.now_s and not future.done():
                future.set_result(None)
        self._sleepers = [(due_s, future) for due_s, future in self._sleepers if not future.done()]
        await settled()


async def settled() -> None:
    """Return when all that can go on without time or the outside has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)
