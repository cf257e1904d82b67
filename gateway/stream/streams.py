"""The streams that clients have open at this process: how many there may be, and how they end when it drains."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from argosy import telemetry
from argosy.gateway.problems import Problem
from argosy.gateway.stream.stream import Stream
from argosy.gateway.tenant_limits.fleet_limits import FleetLimits

# After how long the clients of a draining gateway connect to another one: at random, so not all at once.
_RETRY_MS_MIN: Final = 100
_RETRY_MS_MAX: Final = 3_000
_RETRY_AFTER_S_MAX: Final = 5.0


class Streams:
    """The open streams. Beyond streams_max, or what a tenant may have, a client is refused with Retry-After."""

    def __init__(self, streams_max: int, limits: FleetLimits) -> None:
        self._streams_max = streams_max
        self._limits = limits
        self._open: set[Stream] = set()
        self.is_draining = False

    @property
    def count(self) -> int:
        return len(self._open)

    @contextmanager
    def opened(self, stream: Stream, tenant: str) -> Iterator[None]:
        """Count a stream as open for as long as the block lasts. Raises Problem when there is no room for it."""
        if why := self._why_not():
            telemetry.STREAMS_REFUSED.inc()
            retry_after_s = random.uniform(1.0, _RETRY_AFTER_S_MAX)
            raise Problem("too_many_streams", f"this gateway takes no more: {why}", retry_after_s=retry_after_s)
        with self._limits.stream(tenant):
            self._open.add(stream)
            telemetry.STREAMS.set(len(self._open))
            try:
                yield
            finally:
                stream.stop()
                self._open.discard(stream)
                telemetry.STREAMS.set(len(self._open))

    async def ask(self, tenant: str) -> None:
        """See FleetLimits.ask_for_stream."""
        await self._limits.ask_for_stream(tenant)

    def _why_not(self) -> str:
        if self.is_draining:
            return "it ends"
        if len(self._open) >= self._streams_max:
            return f"{len(self._open)} streams are open"
        return ""

    def drain(self) -> None:
        """End every stream, and take no new one. Returns at once; may be called again."""
        self.is_draining = True
        for stream in list(self._open):
            stream.stop()

    @staticmethod
    def retry_ms() -> int:
        """Return after how many milliseconds a client shall come back."""
        return random.randint(_RETRY_MS_MIN, _RETRY_MS_MAX)
