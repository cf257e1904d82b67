"""Whom to ask next, and when: the decisions of a client whose gateway does not answer. Pure but for jitter and time."""

import random
from typing import Any, Final, NamedTuple

import msgspec

from argosy.client.errors import GatewayUnreachableError, ProblemError, TurnEndedError, TurnNotFoundError
from argosy.clock import Clock

PAUSE_S_MIN: Final = 0.05
PAUSE_S_MAX: Final = 2.0
ELSEWHERE_S_MAX: Final = 0.5
# What proxies in front of a gateway say while it is away.
_AWAY: Final = frozenset({502, 503, 504})
_ERRORS: Final[dict[str, type[ProblemError]]] = {"turn_not_found": TurnNotFoundError, "turn_ended": TurnEndedError}


class Answer(NamedTuple):
    """retry_after: the header, as it came."""

    status: int
    content: bytes
    retry_after: str = ""


class Gateways:
    """The gateways that a client knows. Who answered last is asked first."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        self.urls = urls
        self.at = 0

    def move_on(self, failed: int) -> None:
        """Ask another one from now on, unless somebody has found so already."""
        if self.at == failed:
            self.at = (failed + 1) % len(self.urls)


class Patience:
    """One call, or one stream, until it succeeds or retry_s have passed without success.

    Each failure costs a pause: none while there are gateways that were not asked yet, then more and more, with jitter;
    what a gateway asks for (Retry-After) is kept when it was the last that could be asked.
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
        """Nobody answered. Returns seconds to wait before the next gateway is asked. Raises GatewayUnreachableError."""
        try:
            return self._pause_s(0.0)
        except TimeoutError:
            urls = ", ".join(self._gateways.urls)
            advice = f"; it may have been done: repeat it with the key {self._key!r}" if self._key else ""
            said = str(error) or type(error).__name__
            raise GatewayUnreachableError(f"no gateway answers at {urls}: {said}{advice}") from error

    def answered(self, answer: Answer) -> float | None:
        """None: it is what was asked for. Else seconds to wait before the next try. Raises ProblemError."""
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
        """A stream was closed in order: it goes on elsewhere. asked_s: what the gateway asked for, lest all its clients
        come back at once; where there is another one, a part of it does.
        """
        self._gateways.move_on(self.asked)
        self.asked = self._gateways.at
        if len(self._gateways.urls) > 1:
            return random.uniform(0, min(asked_s, ELSEWHERE_S_MAX))
        return asked_s

    def _pause_s(self, asked_s: float, *, is_slower: bool = False) -> float:
        """Raises TimeoutError."""
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
    """A refusal. What is no problem of a gateway's (a proxy, something else on the port) becomes one."""
    try:
        problem: Any = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        problem = None
    if not isinstance(problem, dict) or "code" not in problem:
        is_away = answer.status in _AWAY
        problem = {"code": "not_a_gateway", "retryable": is_away, "detail": "the answer is not one of Argosy's"}
    return _ERRORS.get(str(problem["code"]), ProblemError)(answer.status, problem)


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() else 0.0
