"""How many more bad credentials may come from each source: a bucket for each, which fills with time. No I/O."""

from collections.abc import Hashable
from typing import Final

from argosy.clock import Clock

BURST: Final = 20.0
RATE: Final = 2.0  # a second
SOURCES_MAX: Final = 10_000  # that are remembered


class Failures:
    """The buckets of sources of one kind. Used from one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # What each has left, and when; the one that failed longest ago first.
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def wait_s(self, source: Hashable) -> float:
        """Return in how many seconds one more may come from a source; 0: now."""
        return max(0.0, (1 - self._left(source, self._clock.monotonic_s())) / RATE)

    def add(self, source: Hashable) -> None:
        """Note that one came."""
        now_s = self._clock.monotonic_s()
        left = max(self._left(source, now_s) - 1, 0.0)
        self._buckets.pop(source, None)
        if len(self._buckets) >= SOURCES_MAX:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[source] = (left, now_s)

    def _left(self, source: Hashable, now_s: float) -> float:
        left, at_s = self._buckets.get(source, (BURST, now_s))
        return min(BURST, left + (now_s - at_s) * RATE)
