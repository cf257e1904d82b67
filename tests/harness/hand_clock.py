"""Clocks for tests: one that moves when it is told to, and the machine's, ahead by as much as a test says."""

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
