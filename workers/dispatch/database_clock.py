"""The database's clock, as this process knows it: every flush answers the time, and in between our own clock counts."""

from datetime import datetime

from argosy.clock import Clock


class DatabaseClock:
    """Good to some milliseconds once it has heard something, which a worker sees to before it owns anything; never read
    for anything that decides who may do what.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s = clock.unix_ms() / 1000 - clock.monotonic_s()

    def heard(self, at: datetime) -> None:
        """An answer from the database, written at `at`."""
        self._ahead_s = at.timestamp() - self._clock.monotonic_s()

    def now_s(self) -> float:
        """Seconds since 1970."""
        return self._clock.monotonic_s() + self._ahead_s
