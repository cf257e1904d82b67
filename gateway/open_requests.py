"""The requests that go on for long (streams, waits, uploads, exports), and how they end with the token that they were
asked with, or with their tenant: within _CHECK_S of the moment at which this process knows that it is good no more.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Scope as AsgiScope

from argosy.clock import Clock
from argosy.gateway.access_tokens import KnownAccessToken
from argosy.gateway.asker import tenant_in, tenant_not_found
from argosy.gateway.authenticate import token_of
from argosy.gateway.identity_cache import IdentityCache, unavailable
from argosy.gateway.known_login import KnownLogin
from argosy.gateway.known_token import KnownToken
from argosy.gateway.problems import Problem
from argosy.identity.tenant import TenantState
from argosy.rounds import Rounds

_CHECK_S: Final = 1.0
_Token = KnownToken | KnownAccessToken | KnownLogin


class OpenRequest:
    """One of them. over: done once its token is good no more: then it has to end soon. problem: why; None before.
    tenant: whom it is for, if for one.
    """

    __slots__ = ("over", "problem", "tenant")

    def __init__(self, tenant: str | None) -> None:
        self.tenant = tenant
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.problem: Problem | None = None

    def check(self) -> None:
        """Raise Problem when the request was ended."""
        if self.problem is not None:
            raise self.problem


class OpenRequests:
    """The open requests of this process, by their tokens. Used from one event loop."""

    def __init__(self, cache: IdentityCache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._rounds = Rounds("open-requests", clock)
        self._open: dict[_Token | None, set[OpenRequest]] = {}
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start to check their tokens."""
        self._task = asyncio.get_running_loop().create_task(self._check_forever())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def count(self) -> int:
        """How many there are that were asked with a token."""
        return sum(len(requests) for token, requests in self._open.items() if token is not None)

    @contextmanager
    def opened(self, scope: AsgiScope) -> Iterator[OpenRequest]:
        """Count a request as open for as long as the block lasts. Raises Problem when its token has ended by now."""
        request, token = OpenRequest(tenant_in(scope)), token_of(scope)
        if (problem := self._why_over(token) or self._why_gone(request)) is not None:
            raise problem
        held: list[_Token] = [] if token is None else [token]
        if isinstance(token, KnownLogin) and token.token is not None:
            held.append(token.token)
        for each in held:
            each.holds += 1
        self._open.setdefault(token, set()).add(request)
        try:
            yield request
        finally:
            for each in held:
                each.holds -= 1
            requests = self._open[token]
            requests.discard(request)
            if not requests:
                del self._open[token]

    def check(self) -> None:
        """End the requests whose token is good no more, or whose tenant was deleted."""
        for token, requests in list(self._open.items()):
            of_all = self._why_over(token)
            for each in [each for each in requests if each.problem is None]:
                if (problem := of_all or self._why_gone(each)) is not None:
                    each.problem = problem
                    each.over.set_result(None)

    def _why_gone(self, request: OpenRequest) -> Problem | None:
        if request.tenant is None or self._cache.inactive.get(request.tenant) is not TenantState.DELETED:
            return None
        return tenant_not_found(request.tenant)

    def _why_over(self, token: _Token | None) -> Problem | None:
        if token is None:
            return None
        now_ms = self._clock.unix_ms()
        if isinstance(token, KnownAccessToken):
            is_revoked = self._cache.is_revoked(token.said.issuer, token.said.subject, "", token.said.at_s)
            is_over, is_doubtful = is_revoked or not token.has_key, token.is_key_stale
        elif isinstance(token, KnownLogin):
            said = token.said
            is_revoked = said is not None and self._cache.is_revoked(said.issuer, said.subject, "", said.at_s)
            is_over, is_doubtful = is_revoked or token.is_over(now_ms), self._is_doubtful(token, now_ms)
        else:
            is_over, is_doubtful = False, self._cache.find(token.hash) is not token
        if is_over or token.ends_at_ms <= now_ms:
            return Problem("invalid_token", "the token with which this was asked for is good no more")
        if is_doubtful or self._cache.is_stale:
            return unavailable("whether the token is still good cannot be told")
        return None

    def _is_doubtful(self, login: KnownLogin, now_ms: float) -> bool:
        """Whether a login has to be looked up: another gateway may have seen that it is used, or that it is over."""
        token = login.token
        is_known = token is None or self._cache.find(token.hash) is token
        return login.idle_at_ms <= now_ms or self._cache.logins.find(login.hash) is not login or not is_known

    async def _check_forever(self) -> None:
        while True:
            await self._clock.sleep(_CHECK_S)
            async with self._rounds:
                self.check()
