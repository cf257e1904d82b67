"""Decides which gateway a client asks next, and when, after a gateway did not answer or refused. Pure but for jitter
and time.
"""

import json
import random
from typing import Any, Final, NamedTuple

import msgspec

from argosy.client.errors import (
    NOT_A_GATEWAY,
    ForbiddenError,
    GatewayUnreachableError,
    ProblemError,
    TurnEndedError,
    TurnNotFoundError,
    UnauthenticatedError,
)
from argosy.clock import Clock

PAUSE_S_MIN: Final = 0.05  # doubled with each round: a gateway that starts again is found soon
PAUSE_S_MAX: Final = 2.0  # a gateway that is away for long is asked every other second
ELSEWHERE_S_MAX: Final = 0.5  # the clients of a gateway that drains do not come to the next one all at once
# The statuses with which a proxy in front of a gateway answers while the gateway is away.
_AWAY: Final = frozenset({502, 503, 504})
_ERRORS: Final[dict[str, type[ProblemError]]] = {"turn_not_found": TurnNotFoundError, "turn_ended": TurnEndedError}
_OF_STATUS: Final[dict[int, type[ProblemError]]] = {401: UnauthenticatedError, 403: ForbiddenError}


class Answer(NamedTuple):
    """A gateway's answer. retry_after: the header's text; empty when there was none."""

    status: int
    content: bytes
    retry_after: str = ""


class Gateways:
    """The gateways that a client knows. `at`: the index of the one to ask first, which stays until it fails."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self.urls = urls
        self.at = 0

    def move_on(self, failed: int) -> None:
        """Go on to the gateway after the failed one, unless another call has done so already."""
        if self.at == failed:
            self.at = (failed + 1) % len(self.urls)


class Patience:
    """The retries of one call or stream, until it succeeds, or has not succeeded for retry_s seconds.

    While there are gateways that were not asked yet, the next one is asked at once. After each round of all gateways
    there is a pause, which grows with every round and has jitter; it is at least what the last gateway asked for
    (Retry-After). After a 429 there is a pause at once.
    """

    def __init__(self, gateways: Gateways, clock: Clock, retry_s: float, *, key: str = "") -> None:
        self._gateways = gateways
        self._clock = clock
        self._retry_s = retry_s
        self._key = key
        self.asked = gateways.at
        self.succeeded()

    def succeeded(self) -> None:
        self._failures = 0
        self._until_s = self._clock.monotonic_s() + self._retry_s

    def failed(self, error: Exception) -> float:
        """Note that a gateway did not answer. Returns the seconds to wait before the next one is asked. Raises
        GatewayUnreachableError when retry_s would be over by then.
        """
        try:
            return self._pause_s(0.0)
        except TimeoutError:
            urls = ", ".join(self._gateways.urls)
            advice = f"; it may have been done: repeat it with the key {self._key!r}" if self._key else ""
            said = str(error) or type(error).__name__
            raise GatewayUnreachableError(f"no gateway answers at {urls}: {said}{advice}") from error

    def answered(self, answer: Answer) -> float | None:
        """Return None when the answer is a success, else the seconds to wait before the next try. Raises ProblemError
        when the answer is final, or retry_s would be over by then.
        """
        if 200 <= answer.status < 300:
            return None
        problem = problem_of(answer)
        if not problem.is_retryable:
            raise problem
        try:
            return self._pause_s(_seconds(answer.retry_after), is_slower=answer.status == 429)
        except TimeoutError:
            raise problem from None

    def closed(self, asked_s: float = 0.0) -> float:
        """Note that a gateway closed a stream in order; the stream goes on at the next gateway. Returns the seconds to
        wait: asked_s, for which the gateway asked so that its clients do not all come back at once; when there is
        another gateway, a random time up to that, and up to ELSEWHERE_S_MAX.
        """
        self._gateways.move_on(self.asked)
        self.asked = self._gateways.at
        if len(self._gateways.urls) > 1:
            return random.uniform(0, min(asked_s, ELSEWHERE_S_MAX))
        return asked_s

    def _pause_s(self, asked_s: float, *, is_slower: bool = False) -> float:
        """Count a failure, go on to the next gateway, and return the pause before it is asked. asked_s: the least pause
        that the failed one asked for. is_slower: pause even if other gateways were not asked yet. Raises TimeoutError
        when retry_s would be over after the pause.
        """
        self._gateways.move_on(self.asked)
        self.asked = self._gateways.at
        self._failures += 1
        rounds, rest = divmod(self._failures, len(self._gateways.urls))
        pause_s = 0.0
        if rest == 0 or is_slower:
            pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** min(rounds, 16)) * random.uniform(0.5, 1.0)
            pause_s = max(pause_s, asked_s)
        if self._clock.monotonic_s() + pause_s > self._until_s:
            raise TimeoutError
        return pause_s


def problem_of(answer: Answer) -> ProblemError:
    """Return the error for a refusal. An answer that is not a gateway's (a proxy's, or of another server on the port)
    gets the code NOT_A_GATEWAY.
    """
    try:
        problem: Any = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        problem = None
    if not isinstance(problem, dict) or "code" not in problem:
        is_away = answer.status in _AWAY
        problem = {"code": NOT_A_GATEWAY, "retryable": is_away, "detail": "the answer is not one of Argosy's"}
    of_status = _OF_STATUS.get(answer.status, ProblemError)  # a proxy's, too
    return _ERRORS.get(str(problem["code"]), of_status)(answer.status, problem)


def json_of(answer: Answer) -> Any:
    """Return the JSON of a successful answer, or None when that has no body. Raises ProblemError (NOT_A_GATEWAY)."""
    try:
        return json.loads(answer.content) if answer.content else None  # takes all that JSON can say; msgspec does not
    except ValueError as error:
        raise problem_of(answer) from error


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() else 0.0
