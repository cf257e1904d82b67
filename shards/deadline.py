"""When a call has to be over."""

import math
from typing import Final

from argosy.clock import Clock

_MAX_S: Final = 86_400.0  # no call takes longer; an event loop's timers end somewhere above


class Deadline:
    """The end of one call, from when it is made. An Interrupt for the reads that are done for it: they stop at the
    deadline, and when nobody waits for them any more. `give_up` may be called while a thread asks.
    """

    def __init__(self, clock: Clock, deadline_s: float) -> None:
        self._clock = clock
        bounded_s = deadline_s if deadline_s < _MAX_S else _MAX_S  # also for what is no number
        self._ends_at_s = clock.monotonic_s() + bounded_s
        self._is_given_up = False

    def __call__(self) -> bool:
        """Return whether a read has to stop."""
        return self._is_given_up or self._clock.monotonic_s() >= self._ends_at_s

    @property
    def left_s(self) -> float:
        return max(0.0, self._ends_at_s - self._clock.monotonic_s())

    def give_up(self) -> None:
        """Nobody waits for what is done under this deadline."""
        self._is_given_up = True

    def within(self, bound_s: float = math.inf) -> "Deadline":
        """Return one for a part of the call, which is over after bound_s seconds, or at this one's end."""
        return Deadline(self._clock, min(bound_s, self.left_s))
