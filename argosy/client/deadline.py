"""Until when somebody waits for a turn, and for how long the gateway is asked to wait meanwhile."""

import math
from typing import Final

from argosy.client.calls import WAIT_S
from argosy.clock import Clock

_HASTY_S: Final = 0.5
_REST_S: Final = 0.1


class Deadline:
    """timeout_s: None is for ever."""

    def __init__(self, clock: Clock, timeout_s: float | None) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._asked_at_s = clock.monotonic_s()
        self._until_s = math.inf if timeout_s is None else self._asked_at_s + timeout_s

    def wait_s(self) -> int:
        """Whole seconds that the next question may wait, one at least. Raises TimeoutError: the time is over."""
        self._asked_at_s = self._clock.monotonic_s()
        left_s = self._until_s - self._asked_at_s
        if left_s <= 0:
            raise TimeoutError(f"the turn has not ended within {self._timeout_s:g} s; it goes on")
        return math.ceil(min(left_s, WAIT_S))

    def rest_s(self) -> float:
        """After an answer that was none: a gateway that does not wait (it drains) is not asked without end."""
        return _REST_S if self._clock.monotonic_s() - self._asked_at_s < _HASTY_S else 0.0
