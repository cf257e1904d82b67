"""Until when somebody waits for a turn, and for how long the gateway is asked to wait meanwhile."""

import math
from typing import Final

from argosy.client.calls import FIRST_WAIT_S, WAIT_S
from argosy.clock import Clock

_HASTY_S: Final = 0.5
_REST_S: Final = 0.1


class Deadline:
    """timeout_s: None is for ever."""

    def __init__(self, clock: Clock, timeout_s: float | None = None) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._asked_at_s = clock.monotonic_s()
        self._until_s = math.inf if timeout_s is None else self._asked_at_s + timeout_s

    def left_s(self, key: str = "") -> float:
        """Seconds. key: of a turn of which nobody knows yet whether it was accepted. Raises TimeoutError: none."""
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            what = f"whether it was accepted is unknown: repeat it with the key {key!r}" if key else "it goes on"
            raise TimeoutError(f"the turn has not ended within {self._timeout_s:g} s; {what}")
        return left_s

    def first_wait_s(self) -> int:
        """Whole seconds for which the gateway may wait when it accepts the turn: 0 when its answer would be too late.

        Raises TimeoutError.
        """
        return int(min(self.left_s(), FIRST_WAIT_S))

    def wait_s(self) -> int:
        """Whole seconds that the next question may wait, one at least. Raises TimeoutError: the time is over."""
        self._asked_at_s = self._clock.monotonic_s()
        return math.ceil(min(self.left_s(), WAIT_S))

    def rest_s(self) -> float:
        """After an answer that was none: a gateway that does not wait (it drains) is not asked without end."""
        return _REST_S if self._clock.monotonic_s() - self._asked_at_s < _HASTY_S else 0.0
