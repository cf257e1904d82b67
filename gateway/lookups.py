"""Bounds of the questions about credentials that a gateway does not know: it may be sent any number of invented ones.

At most RATE questions a second go to Postgres, one for all who ask the same at the same time; what is not there is
remembered for ABSENT_S, ABSENT_MAX answers at the most. Beyond the rate a client is told to try again.
"""

import asyncio
from typing import Final, Generic, Protocol, TypeVar

from argosy.clock import Clock

RATE: Final = 20.0
ABSENT_S: Final = 2.0
ABSENT_MAX: Final = 10_000

Found = TypeVar("Found")
Asked = TypeVar("Asked", covariant=True)


class Asker(Protocol[Asked]):
    """Asks Postgres."""

    async def ask(self, key: bytes) -> Asked | None:
        """Return what there is under a key, or None."""


class LookupRefusedError(Exception):
    """Too many things were looked up lately."""


class Lookups(Generic[Found]):
    """Look-ups of one kind of thing by its key. Used from one event loop."""

    def __init__(self, asker: Asker[Found], clock: Clock) -> None:
        self._asker = asker
        self._clock = clock
        self._asking: dict[bytes, asyncio.Task[Found | None]] = {}
        self._absent: dict[bytes, float] = {}  # the oldest first: all are remembered equally long
        self._may_ask, self._at_s = RATE, clock.monotonic_s()

    async def find(self, key: bytes) -> Found | None:
        """Return what there is under a key, or None. Raises LookupRefusedError, and what the asker raises."""
        now_s = self._clock.monotonic_s()
        if now_s < self._absent.get(key, now_s):
            return None
        asking = self._asking.get(key)
        if asking is None:
            if not self._is_granted(now_s):
                raise LookupRefusedError
            asking = self._asking[key] = asyncio.get_running_loop().create_task(self._answer(key))
            asking.add_done_callback(_retrieved)
        return await asyncio.shield(asking)

    async def close(self) -> None:
        asking = list(self._asking.values())
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _answer(self, key: bytes) -> Found | None:
        try:
            found = await self._asker.ask(key)
        finally:
            del self._asking[key]
        if found is None:
            self._absent.pop(key, None)
            if len(self._absent) >= ABSENT_MAX:
                del self._absent[next(iter(self._absent))]
            self._absent[key] = self._clock.monotonic_s() + ABSENT_S
        return found

    def _is_granted(self, now_s: float) -> bool:
        self._may_ask = min(RATE, self._may_ask + (now_s - self._at_s) * RATE)
        self._at_s = now_s
        if self._may_ask < 1:
            return False
        self._may_ask -= 1
        return True


def _retrieved(asking: "asyncio.Task[object]") -> None:
    """Mark the error of a question as seen: everyone who waited for it may be gone."""
    if not asking.cancelled():
        asking.exception()
