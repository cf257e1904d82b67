"""Stands where a Follower does, for what no owner sends anything of: everything is in Postgres, and read from there."""

import asyncio
from contextlib import suppress


class Unfollowed:
    """A follower of nothing; see Follower."""

    is_live = False
    has_taken = False

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def open(self) -> None:
        """Begin to look for nobody."""

    def close(self) -> None:
        """End `wait`."""
        self._closed.set()

    def take(self) -> None:
        """Return None: there is never an item."""

    async def wait(self, timeout_s: float) -> bool:
        """Wait. True when this was closed; False after timeout_s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._closed.wait()
        return self._closed.is_set()
