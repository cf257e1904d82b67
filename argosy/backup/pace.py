"""How fast a backup reads: shards have others to answer."""

from argosy.clock import Clock


class Throttle:
    """Lets so many bytes a second pass, for all who share it."""

    def __init__(self, clock: Clock, rate_bytes_s: float) -> None:
        self._clock = clock
        self._rate_bytes_s = rate_bytes_s
        self._free_at_s = clock.monotonic_s()

    async def __call__(self, size_bytes: int) -> None:
        """Wait until so many bytes more have passed."""
        now_s = self._clock.monotonic_s()
        self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self._rate_bytes_s
        if self._free_at_s > now_s:
            await self._clock.sleep(self._free_at_s - now_s)
