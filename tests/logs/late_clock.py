"""A clock that a test can set forward."""

from argosy.clock import SystemClock


class LateClock(SystemClock):
    """The machine's clock, late_s ahead."""

    late_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.late_s
