"""The requests that go on for long (streams, waits, uploads, exports), and how they end with the token that they were
asked with: within _CHECK_S of the moment at which this process knows that it is good no more.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Scope as AsgiScope

from argosy.clock import Clock
from argosy.gateway.access_tokens import KnownAccessToken
from argosy.gateway.authenticate import token_of
from argosy.gateway.identity_cache import IdentityCache, unavailable
from argosy.gateway.known_token import KnownToken
from argosy.gateway.problems import Problem
from argosy.rounds import Rounds

_CHECK_S: Final = 1.0


class OpenRequest:
    """One of them. over: done once its token is good no more: then it has to end soon. problem: why; None before."""

    __slots__ = ("over", "problem")

    def __init__(self) -> None:
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
        self._open: dict[KnownToken | KnownAccessToken, set[OpenRequest]] = {}
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
        return sum(map(len, self._open.values()))

    @contextmanager
    def opened(self, scope: AsgiScope) -> Iterator[OpenRequest]:
        """Count a request as open for as long as the block lasts. Raises Problem when its token has ended by now."""
        request, token = OpenRequest(), token_of(scope)
        if token is None:
            yield request
            return
        if (problem := self._why_over(token)) is not None:
            raise problem
        token.holds += 1
        self._open.setdefault(token, set()).add(request)
        try:
            yield request
        finally:
            token.holds -= 1
            requests = self._open[token]
            requests.discard(request)
            if not requests:
                del self._open[token]

    def check(self) -> None:
        """End the requests whose token is good no more."""
        for token, requests in list(self._open.items()):
            if (problem := self._why_over(token)) is None:
                continue
            for each in [each for each in requests if each.problem is None]:
                each.problem = problem
                each.over.set_result(None)

    def _why_over(self, token: KnownToken | KnownAccessToken) -> Problem | None:
        if isinstance(token, KnownAccessToken):
            is_over, is_doubtful = not token.has_key, token.is_key_stale
        else:
            is_over, is_doubtful = False, self._cache.find(token.hash) is not token
        if is_over or token.ends_at_ms <= self._clock.unix_ms():
            return Problem("invalid_token", "the token with which this was asked for is good no more")
        if is_doubtful or self._cache.is_stale:
            return unavailable("whether the token is still good cannot be told")
        return None

    async def _check_forever(self) -> None:
        while True:
            await self._clock.sleep(_CHECK_S)
            async with self._rounds:
                self.check()
