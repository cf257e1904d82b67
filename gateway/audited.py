"""What the audit says of requests: who asked, from where, and what was refused.

Refused requests are counted, and written once a minute, in few rows (refusals.py). A source that sends bad credentials
is answered 429 beyond so many (failures.py), before anything is looked up for it. Those behind one proxy do not lock
each other out: a credential that is known is good all the same, and who was let in lately has a bucket of their own
beside that of the source.
"""

import asyncio
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.requests import Request
from starlette.types import Scope as AsgiScope

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import StoreUnavailableError
from argosy.gateway.failures import Failures
from argosy.gateway.identity_cache import unavailable
from argosy.gateway.problems import Problem
from argosy.gateway.refusals import UNKNOWN, RefusedRequests
from argosy.gateway.request_origin import has_unbelieved_hops, request_id_of
from argosy.identity.principal import Principal
from argosy.identity.scopes import Scope
from argosy.store.audit import Act, audit, note_refusals
from argosy.store.pool import Pool

log = telemetry.logger()

_NETWORK_BITS: Final = 64  # of an IPv6 address: one client has at least as many addresses as are in it
_ACTS_S: Final = 60.0  # what is noted is written once in this time, for each token, tenant and target
_ACTS_MAX: Final = 10_000
_WRITE_S_MAX: Final = 2.0
_LOCAL: Final = "local"  # a source without an address: a Unix socket
_WHO: Final = "argosy.recognized"  # a key of the scope: whose bucket a bad credential empties
_SAID_S: Final = 3_600.0  # a proxy that is not trusted is told of no more often


class Audited:
    """Counts and writes what requests were refused, and who acted as which tenant. Used from one event loop."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._refusals = RefusedRequests()
        self._networks = Failures(clock)
        self._recognized = Failures(clock)
        self._say_at_s = clock.monotonic_s()
        self._acting: dict[tuple[str, str | None, str], float] = {}

    def check_source(self, scope: AsgiScope, recognize: Callable[[], Hashable | None] | None = None) -> None:
        """Raise Problem when the source of a request has sent too many bad credentials.

        recognize: returns whose the credential says that it is, if they were let in here lately: what others behind
        the same address send is not theirs to pay for. It is called only when the source has nothing left, and proves
        nothing: who knows what it asks for slows down that one alone.
        """
        network = _network_of(source_of(scope))
        wait_s = self._networks.wait_s(network)
        if wait_s and recognize is not None and (who := recognize()) is not None:
            scope[_WHO] = who
            wait_s = self._recognized.wait_s((network, who))
        if wait_s:
            self.refused(scope, "rate_limited", None)
            raise Problem("rate_limited", "too many bad credentials came from this address", retry_after_s=wait_s)

    def failed(self, scope: AsgiScope, reason: str) -> None:
        """Note a bad credential. reason: for the audit alone: no answer tells it."""
        network, who = _network_of(source_of(scope)), scope.get(_WHO)
        if who is None:
            self._networks.add(network)
        else:
            self._recognized.add((network, who))
        self.refused(scope, reason, None, code="invalid_token")
        self._say_unbelieved(scope)

    def refused(self, scope: AsgiScope, reason: str, principal: Principal | None, *, code: str = "") -> None:
        """Note that a request was refused. code: of the answer, if that is not the reason."""
        telemetry.REQUESTS_REFUSED.labels(code=code or reason).inc()
        act = _act(scope, principal, "request", outcome="refused", reason=reason)
        self._refusals.add(act, _network_of(act.source))

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
        refusals, self._refusals = self._refusals, RefusedRequests()
        try:
            await note_refusals(self._pool, refusals.rows())
        except (StoreUnavailableError, TimeoutError):
            refusals.add_all(self._refusals)
            self._refusals = refusals
            raise

    def _say_unbelieved(self, scope: AsgiScope) -> None:
        """Say that bad credentials came by a proxy that may be one of ours: then all of its clients are one source."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._say_at_s and has_unbelieved_hops(scope):
            self._say_at_s = now_s + _SAID_S
            log.warning(telemetry.GATEWAY_UNTRUSTED_PROXY, source=source_of(scope), setting="GATEWAY_TRUSTED_PROXIES")


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
        actor_kind=UNKNOWN if principal is None else principal.kind,
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
    """Return what counts as one source: an address, or a network of IPv6."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        rest = 128 - _NETWORK_BITS
        return f"{IPv6Address(int(address) >> rest << rest)}/{_NETWORK_BITS}"
    return source
