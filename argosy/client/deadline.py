"""The time until which a caller waits for a turn, and how long each request asks the gateway to wait meanwhile."""

import math
from typing import Final

from argosy.client.calls import FIRST_WAIT_S, WAIT_S
from argosy.clock import Clock

_HASTY_S: Final = 0.5  # an answer that comes sooner was not waited for
_REST_S: Final = 0.1  # ten requests a second to a gateway that answers at once


class Deadline:
    """The end of a caller's wait. timeout_s: counted from now; None waits for ever. what: is waited for."""

    def __init__(self, clock: Clock, timeout_s: float | None = None, what: str = "turn") -> None:
        self._what = what
        self._clock = clock
        self._timeout_s = timeout_s
        self._asked_at_s = clock.monotonic_s()
        self._until_s = math.inf if timeout_s is None else self._asked_at_s + timeout_s

    def left_s(self, key: str = "") -> float:
        """Return the seconds left. Raises TimeoutError when none are left. key: the idempotency key of a request whose
        effect is not known yet, for the error's message.
        """
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            what = f"whether it was accepted is unknown: repeat it with the key {key!r}" if key else "it goes on"
            raise TimeoutError(f"the {self._what} has not ended within {self._timeout_s:g} s; {what}")
        return left_s

    def first_wait_s(self) -> int:
        """Return the whole seconds for which the request that submits the turn waits for its end: FIRST_WAIT_S, or 0
        when less than a second is left. Raises TimeoutError when the time is over.
        """
        return int(min(self.left_s(), FIRST_WAIT_S))

    def wait_s(self) -> int:
        """Return the whole seconds for which the next request waits for the turn's end, at least 1. Raises TimeoutError
        when the time is over.
        """
        self._asked_at_s = self._clock.monotonic_s()
        return math.ceil(min(self.left_s(), WAIT_S))

    def rest_s(self) -> float:
        """Return the pause before the next request, after an answer that the turn has not ended. It keeps the client
        from asking without end when the gateway answers at once instead of waiting, because it drains.
        """
        return _REST_S if self._clock.monotonic_s() - self._asked_at_s < _HASTY_S else 0.0
