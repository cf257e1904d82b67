"""What the audit says of requests: who asked, from where, and what was refused.

Refused requests are counted, and written once a minute: a row for each source, reason and tenant, with a number. So a
flood fills no disk. A source that sends bad credentials is answered 429 beyond _FAILURES_BURST at once and
_FAILURES_RATE a second, before anything is looked up for it; a credential that is known is good all the same, so that
those behind one proxy do not lock each other out.
"""

import asyncio
from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.requests import Request
from starlette.types import Scope as AsgiScope

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import StoreUnavailableError
from argosy.gateway.identity_cache import unavailable
from argosy.gateway.problems import Problem
from argosy.gateway.request_origin import request_id_of
from argosy.identity.principal import Principal
from argosy.identity.scopes import Scope
from argosy.store.audit import REFUSALS_MAX, Act, Refusals, audit, note_refusals
from argosy.store.pool import Pool

_FAILURES_BURST: Final = 20.0
_FAILURES_RATE: Final = 2.0
SOURCES_MAX: Final = 10_000  # that are remembered
_NETWORK_BITS: Final = 64  # of an IPv6 address: one client has at least as many addresses as are in it
_ACTS_S: Final = 60.0  # what is noted is written once in this time, for each token, tenant and target
_ACTS_MAX: Final = 10_000
_WRITE_S_MAX: Final = 2.0
_UNKNOWN: Final = "unknown"  # an actor whose credential was bad, or who had none
_LOCAL: Final = "local"  # a source without an address: a Unix socket

_Key = tuple[str, str, str | None]


class Audited:
    """Counts and writes what requests were refused, and who acted as which tenant. Used from one event loop."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._refused: Counter[_Key] = Counter()
        self._acts: dict[_Key, Act] = {}
        # By source: what it has left, and when; the one that failed longest ago first.
        self._failures: dict[str, tuple[float, float]] = {}
        self._acting: dict[tuple[str, str | None, str], float] = {}

    def check_source(self, scope: AsgiScope) -> None:
        """Raise Problem when the source of a request has sent too many bad credentials."""
        left = self._left(_network_of(source_of(scope)), self._clock.monotonic_s())
        if left < 1:
            self.refused(scope, "rate_limited", None)
            detail = "too many bad credentials came from this address"
            raise Problem("rate_limited", detail, retry_after_s=(1 - left) / _FAILURES_RATE)

    def failed(self, scope: AsgiScope, reason: str) -> None:
        """Note a bad credential. reason: for the audit alone: no answer tells it."""
        network, now_s = _network_of(source_of(scope)), self._clock.monotonic_s()
        left = max(self._left(network, now_s) - 1, 0.0)
        self._failures.pop(network, None)
        if len(self._failures) >= SOURCES_MAX:
            del self._failures[next(iter(self._failures))]
        self._failures[network] = (left, now_s)
        self.refused(scope, reason, None, code="invalid_token")

    def refused(self, scope: AsgiScope, reason: str, principal: Principal | None, *, code: str = "") -> None:
        """Note that a request was refused. code: of the answer, if that is not the reason."""
        telemetry.REQUESTS_REFUSED.labels(code=code or reason).inc()
        source = source_of(scope)
        key = (source, reason, None if principal is None else principal.tenant)
        if key not in self._acts:
            if len(self._acts) >= REFUSALS_MAX:
                return
            self._acts[key] = _act(scope, principal, "request", outcome="refused", reason=reason)
        self._refused[key] += 1

    async def acts(self, request: Request, principal: Principal, needed: Scope | None) -> None:
        """Note that somebody acts as a tenant, before anything is done. Raises Problem when that cannot be noted."""
        await self.note_once(act_of(request, principal, "tenant.act_as", target=str(needed or "")))

    async def note_once(self, act: Act) -> None:
        """Write down an act before it is done, once in a while of the same. Raises Problem when that cannot be."""
        key = (act.actor_id, act.tenant, f"{act.action} {act.target}")
        now_s = self._clock.monotonic_s()
        if now_s < self._acting.get(key, now_s):
            return
        await self.note(act)
        self._acting.pop(key, None)
        if len(self._acting) >= _ACTS_MAX:
            del self._acting[next(iter(self._acting))]
        self._acting[key] = now_s + _ACTS_S

    async def note(self, act: Act) -> None:
        """Write down an act before it is done. Raises Problem when that cannot be."""
        try:
            async with asyncio.timeout(_WRITE_S_MAX):
                await audit(self._pool, act)
        except (StoreUnavailableError, TimeoutError):
            raise unavailable("this has to be written down, and Postgres did not answer") from None

    async def write(self) -> None:
        """Write what was refused since the last time. Raises StoreUnavailableError; then it is written next time."""
        acts, counts = self._acts, self._refused
        self._acts, self._refused = {}, Counter()
        try:
            await note_refusals(self._pool, [Refusals(act, counts[key]) for key, act in acts.items()])
        except (StoreUnavailableError, TimeoutError):
            self._acts = dict(list((acts | self._acts).items())[:REFUSALS_MAX])
            self._refused = Counter({key: counts[key] + self._refused[key] for key in self._acts})
            raise

    def _left(self, network: str, now_s: float) -> float:
        left, at_s = self._failures.get(network, (_FAILURES_BURST, now_s))
        return min(_FAILURES_BURST, left + (now_s - at_s) * _FAILURES_RATE)


def act_of(request: Request, principal: Principal, action: str, *, tenant: str | None = None, target: str = "") -> Act:
    """Return what the audit says of a request that is carried out. tenant: whom it is about, if not the principal's."""
    act = _act(request.scope, principal, action, target=target)
    return act if tenant is None else act._replace(tenant=tenant)


def source_of(scope: AsgiScope) -> str:
    """Return the address that a request comes from (request_origin.py)."""
    client = scope.get("client")
    return str(client[0]) if client and client[0] else _LOCAL


def _act(
    scope: AsgiScope,
    principal: Principal | None,
    action: str,
    *,
    target: str = "",
    outcome: str = "done",
    reason: str = "",
) -> Act:
    return Act(
        actor_kind=_UNKNOWN if principal is None else principal.kind,
        actor_id="" if principal is None else principal.id,
        token_id=None if principal is None else principal.token_id,
        tenant=None if principal is None else principal.tenant,
        action=action,
        target=target,
        outcome=outcome,
        reason=reason,
        request_id=request_id_of(scope),
        source=source_of(scope),
    )


def _network_of(source: str) -> str:
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> (128 - _NETWORK_BITS))
    return source
