"""How many reads one principal may ask this process for. No I/O.

It is on the path of every read, so a principal's bucket is one number: the moment at which it is full again, if they
ask for nothing more. It holds what comes in _FULL_S. Those are forgotten first who asked longest ago for the first time
since, and begin with a full one. Who is local, because nobody is asked who they are, has no limit.
"""

import math
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.gateway.problems import Problem
from argosy.gateway.tenant_limits.account import Rate
from argosy.gateway.tenant_limits.rates import rate_headers
from argosy.identity.principal import Principal, PrincipalKind

KIND: Final = "reads"
PRINCIPALS_MAX: Final = 10_000  # in each of two generations
_FULL_S: Final = 2.0  # as a tenant's buckets, which hold twice the rate
_LOCAL: Final = PrincipalKind.LOCAL
_REFUSED: Final = telemetry.RATE_LIMITED.labels(kind=KIND)


class ReadLimit:
    """Of all principals. Used from one event loop."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        """per_s: reads a second; 0: no limit."""
        self._rate = Rate(per_s)
        self._clock = clock
        self._step_s = 1 / per_s if per_s else 0.0
        self._ahead_s_max = max(_FULL_S, self._step_s) - self._step_s
        self._rounded_s = 0.01 * self._step_s  # so that it does not matter how sums are rounded
        self._full_at_s: dict[str, float] = {}
        self._before: dict[str, float] = {}

    def check(self, principal: Principal) -> None:
        """Let one read through. Raises Problem when its principal has asked for too many."""
        step_s = self._step_s
        if not step_s or principal.kind is _LOCAL:
            return
        now_s = self._clock.monotonic_s()
        named = principal.id
        full_at_s = self._full_at_s.get(named)
        if full_at_s is None:
            full_at_s = self._remembered(named)
        if full_at_s < now_s:
            full_at_s = now_s
        elif full_at_s - now_s - self._ahead_s_max > self._rounded_s:
            raise self._refusal(full_at_s - now_s - self._ahead_s_max)
        self._full_at_s[named] = full_at_s + step_s

    def _remembered(self, named: str) -> float:
        if len(self._full_at_s) >= PRINCIPALS_MAX:
            self._full_at_s, self._before = {}, self._full_at_s
        return self._before.get(named, 0.0)

    def _refusal(self, retry_after_s: float) -> Problem:
        _REFUSED.inc()
        detail = f"more than {self._rate.per_s:g} reads a second of one credential, at this gateway"
        problem = Problem("rate_limited", detail, retry_after_s=retry_after_s)
        problem.headers = rate_headers(KIND, self._rate, math.ceil(retry_after_s))
        return problem
