"""This process's estimate of the database's clock: each flush answers the time, our own clock counts from there."""

from datetime import datetime

from argosy.clock import Clock


class DatabaseClock:
    """The database's time, good to some milliseconds once `set` was called. That is before a worker owns anything.

    Nothing that decides about ownership reads it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_s = clock.unix_ms() / 1000 - clock.monotonic_s()

    def set(self, at: datetime) -> None:
        """Take over the time `at` of an answer that the database has just given."""
        self._ahead_s = at.timestamp() - self._clock.monotonic_s()

    def now_s(self) -> float:
        """Return seconds since 1970."""
        return self._clock.monotonic_s() + self._ahead_s
