"""A token bucket per tenant, in this process alone: for new tokens. Limits of all gateways: gateway/tenant_limits/.

Units: rate in requests per second, burst in requests. A rate of 0 means no limit.
"""

from typing import Final

from argosy import telemetry
from argosy.clock import Clock

_REFUSED: Final = telemetry.RATE_LIMITED.labels(kind="tokens")


class RateLimit:
    """How many requests each tenant may send now."""

    def __init__(self, rate: float, burst: float, clock: Clock, *, tenants_max: int) -> None:
        """burst: how many requests may come at once; 0 means twice the rate, and it is one at the least. tenants_max:
        GATEWAY_TENANTS_MAX.
        """
        self._tenants_max = tenants_max
        self._rate = rate
        self._burst = max(burst or 2 * rate, 1.0)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, tenant: str, count: int = 1) -> int:
        """Take up to count requests from the tenant's bucket, and return how many it granted."""
        if self._rate == 0:
            return count
        now_s = self._clock.monotonic_s()
        tokens = self._tokens(tenant, now_s)
        granted = min(count, int(tokens))
        _REFUSED.inc(count - granted)
        if len(self._buckets) >= self._tenants_max and tenant not in self._buckets:
            self._forget_full(now_s)
        self._buckets[tenant] = (tokens - granted, now_s)
        return granted

    def retry_after_s(self, tenant: str) -> float:
        """Return in how many seconds the tenant's next request will be granted."""
        if self._rate == 0:
            return 0.0
        return max(0.0, (1 - self._tokens(tenant, self._clock.monotonic_s())) / self._rate)

    def _tokens(self, tenant: str, now_s: float) -> float:
        tokens, at_s = self._buckets.get(tenant, (self._burst, now_s))
        return min(self._burst, tokens + (now_s - at_s) * self._rate)

    def _forget_full(self, now_s: float) -> None:
        """Delete the full buckets: a tenant without a bucket gets a full one."""
        for tenant in [name for name in self._buckets if self._tokens(name, now_s) >= self._burst]:
            del self._buckets[tenant]
