"""The limits of tenants, and the loop in which this gateway settles them with all others, through Postgres."""

import asyncio
import math
import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.gateway.problems import Problem
from argosy.gateway.tenant_limits.account import FADE_S, Rate
from argosy.gateway.tenant_limits.rates import OwnLimits, TenantRate
from argosy.gateway.tenant_limits.stream_room import StreamRoom
from argosy.rounds import Rounds
from argosy.store.limits import Limits, Open, Settled, Used
from argosy.store.pool import Pool

# A gateway with nothing to tell says that it is there, so that others know how many they are.
_HERE_S: Final = 2.0
SEEN_S: Final = 6.0  # three of those: then it does not count
_ROWS_MAX: Final = 200  # of one statement, which holds them until it ends
_FORGET_S: Final = 600.0
_KEPT_S: Final = 86_400.0  # a rate of one request a day fills within it
_FORGET_ROWS: Final = 10_000
_LEAVE_S: Final = 1.0  # a gateway that ends waits so long for Postgres
_ASKED_S_MIN: Final = 0.1  # who may open no stream does not ask Postgres more often
_RETRY_AFTER_S: Final = (1.0, 5.0)  # at random: streams are not closed at a known time
_STREAMS_REFUSED: Final = telemetry.RATE_LIMITED.labels(kind="streams")


class FleetLimits:
    """turns, signals (cancels and resumes, too), graph_calls: the rates. streams: how many may be open."""

    def __init__(self, settings: Settings, pool: Pool, own: OwnLimits, timeout_s: float, clock: Clock) -> None:
        turns = Rate(settings.gateway_rate_limit, settings.gateway_rate_burst)
        signals = Rate(settings.gateway_signal_rate_limit, settings.gateway_signal_rate_burst)
        graph_calls = Rate(settings.gateway_graph_rate_limit, settings.gateway_graph_rate_burst)
        most = settings.gateway_tenants_max
        self.turns = TenantRate("turns", turns, own, clock, tenants_max=most)
        self.signals = TenantRate("signals", signals, own, clock, tenants_max=most)
        self.graph_calls = TenantRate("graph_calls", graph_calls, own, clock, tenants_max=most)
        self.streams = StreamRoom(settings.gateway_tenant_streams_max, own)
        self._rates = {each.kind: each for each in (self.graph_calls, self.signals, self.turns)}
        self._interval_s = settings.gateway_limits_interval_s
        self._timeout_s = timeout_s
        self._limits = Limits(pool, uuid.uuid4(), seen_s=SEEN_S, fade_s=FADE_S)
        self._clock = clock
        self._rounds = Rounds("limits", clock)
        self._told_at_s, self._forgot_at_s = -math.inf, clock.monotonic_s()
        self._has_told_streams = False
        self._settling = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._counted(settings.gateway_workers)

    async def open(self) -> None:
        """Hear how many gateways there are, if Postgres answers, and settle from now on."""
        try:
            await self.settle()
        except Exception as error:
            self._rounds.say(error)
        self._task = asyncio.get_running_loop().create_task(self._settle_forever())

    async def close(self) -> None:
        """Settle no more. This gateway's part is the others' at once, if Postgres answers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with suppress(StoreUnavailableError, TimeoutError):
                async with asyncio.timeout(_LEAVE_S):
                    await self._limits.leave()

    def check(self, rate: TenantRate, tenant: str) -> None:
        """Let one request of a tenant through. Raises Problem when it may send none now."""
        if not rate.take(tenant):
            raise self.refusal(rate, tenant)

    def refusal(self, rate: TenantRate, tenant: str) -> Problem:
        """Return the answer to a request that may not pass."""
        return rate.refusal(tenant, self._interval_s)

    @contextmanager
    def stream(self, tenant: str) -> Iterator[None]:
        """Count a stream, or a request that waits, for as long as the block lasts. Raises Problem when its tenant may
        have no more.
        """
        if not self.streams.has_room(tenant):
            _STREAMS_REFUSED.inc()
            detail = f"a tenant may have {self.streams.most(tenant)} streams and waits, at all gateways together"
            raise Problem("rate_limited", detail, retry_after_s=random.uniform(*_RETRY_AFTER_S))
        self.streams.opened(tenant)
        try:
            yield
        finally:
            self.streams.closed(tenant)

    async def ask_for_stream(self, tenant: str) -> None:
        """Hear from Postgres whether a tenant may have one more stream, if it may not as far as is known."""
        if not self.streams.has_room(tenant) and self._clock.monotonic_s() - self._told_at_s >= _ASKED_S_MIN:
            with suppress(StoreUnavailableError, TimeoutError):
                await self.settle()

    async def settle(self) -> None:
        """Tell what was let through, and take over what is left. Raises StoreUnavailableError, TimeoutError."""
        began_s = self._clock.monotonic_s()
        async with self._settling:  # what is told must not be told twice
            if self._told_at_s <= began_s:
                await self._settle_all()

    async def _settle_all(self) -> None:
        due = sorted(each for rate in self._rates.values() for each in rate.due())
        streams = self.streams.due()
        now_s = self._clock.monotonic_s()
        if not due and not streams and not self._has_told_streams and now_s - self._told_at_s < _HERE_S:
            return
        try:
            for begin in range(0, max(len(due), 1), _ROWS_MAX):
                await self._settle(due[begin : begin + _ROWS_MAX], streams)
        except BaseException:
            for rate in self._rates.values():
                rate.not_settled()
            raise
        self._told_at_s, self._has_told_streams = now_s, bool(streams)

    async def _settle(self, told: Sequence[Used], streams: Sequence[Open]) -> None:
        async with asyncio.timeout(self._timeout_s):
            settled: Settled = await self._limits.settle(told, streams)
        self._counted(settled.gateways)
        for each, left in zip(told, settled.left, strict=True):
            self._rates[each.kind].settled(each, left)
        self.streams.settled(settled)

    def _counted(self, gateways: int) -> None:
        for rate in self._rates.values():
            rate.gateways = gateways

    async def _settle_forever(self) -> None:
        while True:
            await self._clock.sleep(self._interval_s)
            async with self._rounds:
                await self.settle()
                await self._forget()

    async def _forget(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._forgot_at_s >= _FORGET_S:
            self._forgot_at_s = now_s
            await self._limits.forget(_KEPT_S, _FORGET_ROWS)
