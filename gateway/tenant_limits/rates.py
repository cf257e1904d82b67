"""The limit of one kind of request: how many each tenant may send now. The rules: gateway/tenant_limits/__init__.py."""

import math
from typing import Final, Protocol

from argosy import telemetry
from argosy.clock import Clock
from argosy.gateway.problems import Problem
from argosy.gateway.tenant_limits.account import Account, Rate, Report
from argosy.identity.tenant_limits import TenantLimits
from argosy.store.limits import Left, Used

# Kinds, as in the names of TenantLimits (turns_per_s, turns_burst), and what their requests are.
_WORDS: Final = {"turns": "turns", "signals": "signals, cancels and resumes", "graph_calls": "calls of graphs"}


class OwnLimits(Protocol):
    """Knows tenants that have limits of their own."""

    def limits_of(self, tenant: str) -> TenantLimits | None:
        """Return a tenant's own limits, as far as they are known here."""
        ...


class TenantRate:
    """The rates of one kind of request. kind: one of _WORDS. default: of tenants that have none of their own; of 0 a
    second: no limit. tenants_max: GATEWAY_TENANTS_MAX. Used from one event loop.
    """

    def __init__(self, kind: str, default: Rate, own: OwnLimits, clock: Clock, *, tenants_max: int) -> None:
        self.kind = kind
        self.gateways = 1  # as Postgres said last
        self._tenants_max = tenants_max
        self._default = default
        self._own = own
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        # Those of which there may be something to tell, or that have a share of their own.
        self._busy: dict[str, Account] = {}
        self._refused = telemetry.RATE_LIMITED.labels(kind=kind)

    def take(self, tenant: str, count: int = 1) -> int:
        """Let up to `count` of a tenant's requests through now, and return how many."""
        account = self._accounts.get(tenant) or self._open(tenant)
        if account is None:
            return count
        if not account.asked:
            self._busy[tenant] = account
        granted = account.take(count, self._clock.monotonic_s())
        if granted < count:
            if self.rate_of(tenant).per_s <= 0:  # it has no limit since a moment ago
                self._forget(tenant)
                return count
            self._refused.inc(count - granted)
        return granted

    def refusal(self, tenant: str, interval_s: float) -> Problem:
        """Return the answer to a request that may not pass."""
        account = self._accounts.get(tenant)
        rate = self._default if account is None else account.rate
        retry_after_s = 1.0
        if account is not None:
            retry_after_s = max(account.retry_after_s(self._clock.monotonic_s(), interval_s), 0.001)
        detail = f"more than {rate.per_s:g} {_WORDS[self.kind]} a second"
        problem = Problem("rate_limited", detail, retry_after_s=retry_after_s)
        problem.headers = rate_headers(self.kind, rate, math.ceil(retry_after_s))
        return problem

    def due(self) -> list[Used]:
        """Return what Postgres is to be told now. What is not worth it is forgotten, with those who ask no more."""
        now_s = self._clock.monotonic_s()
        told: list[Used] = []
        for tenant, account in list(self._busy.items()):
            rate = self.rate_of(tenant)
            if rate.per_s <= 0:
                self._forget(tenant)
                continue
            account.change(rate, self.gateways, now_s)
            report = account.report(self.gateways, now_s)
            if report is not None:
                told.append(Used(tenant, self.kind, rate.per_s, account.room, *report))
            elif not account.is_settled(now_s):
                account.lapse(self.gateways, now_s)
                del self._busy[tenant]
        return told

    def settled(self, told: Used, left: Left) -> None:
        """Take over what Postgres answered to one of `due`."""
        account = self._busy.get(told.tenant)
        if account is not None:
            account.settled(
                Report(told.used, told.asked, told.fresh), left.level, left.share, self._clock.monotonic_s()
            )

    def not_settled(self) -> None:
        """Postgres did not answer: shares that nobody has told for long are not had any more."""
        now_s = self._clock.monotonic_s()
        for account in self._busy.values():
            if account.is_stale(now_s):
                account.lapse(self.gateways, now_s)

    def rate_of(self, tenant: str) -> Rate:
        """Return the rate of a tenant."""
        own = self._own.limits_of(tenant)
        if own is None:
            return self._default
        per_s, burst = getattr(own, f"{self.kind}_per_s"), getattr(own, f"{self.kind}_burst")
        if per_s is None:
            return self._default if burst is None else self._default._replace(burst=burst)
        return Rate(per_s, burst or 0.0)

    def _open(self, tenant: str) -> Account | None:
        rate = self.rate_of(tenant)
        if rate.per_s <= 0:
            return None
        now_s = self._clock.monotonic_s()
        if len(self._accounts) >= self._tenants_max:
            self._forget_full(now_s)
        account = self._accounts[tenant] = Account(rate, self.gateways, now_s)
        return account

    def _forget_full(self, now_s: float) -> None:
        """Forget tenants who may send as much as if they were new here."""
        for tenant in [each for each, account in self._accounts.items() if account.is_full(now_s)]:
            self._forget(tenant)

    def _forget(self, tenant: str) -> None:
        del self._accounts[tenant]
        self._busy.pop(tenant, None)


def rate_headers(name: str, rate: Rate, retry_after_s: int) -> dict[str, str]:
    """Return the header fields of draft-ietf-httpapi-ratelimit-headers: q requests in w seconds; r are left, and more
    are in t seconds.
    """
    quota, window_s = (int(rate.per_s), 1) if rate.per_s >= 1 else (1, math.ceil(1 / rate.per_s))
    return {
        "RateLimit-Policy": f'"{name}";q={quota};w={window_s}',
        "RateLimit": f'"{name}";r=0;t={retry_after_s}',
    }
