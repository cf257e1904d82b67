"""The room that a callee has for calls: how many are under way, and how many bytes their requests have together.

Rules:
- A call takes room for its request before the request is read, if it is large (call_signing.py, SIZE_HEADER), and
  otherwise when it was read. What does not fit is refused at once: its caller may ask again, and nothing was changed.
- A stream of requests holds one of them at a time.
- What a request takes while it is worked at, decoded, is some multiple of its bytes, which is bounded with them.
"""

import contextlib
from collections.abc import Iterator

from argosy import telemetry
from argosy.errors import ShardBusyError


class CallRoom:
    """Counts calls and bytes. Used on one event loop."""

    def __init__(self, calls_max: int, size_bytes_max: int) -> None:
        self._calls_max = calls_max
        self._size_bytes_max = size_bytes_max
        self._calls = 0
        self._size_bytes = 0

    @contextlib.contextmanager
    def call(self) -> Iterator["Place"]:
        """Hold a place for one call while the block lasts. Raises ShardBusyError when there is none."""
        if self._calls >= self._calls_max:
            raise ShardBusyError(f"{self._calls} calls are under way, and no more may be")
        self._calls += 1
        place = Place(self)
        try:
            yield place
        finally:
            place.hold(0)
            self._calls -= 1

    def take(self, size_bytes: int, instead_of: int) -> None:
        """Count bytes, instead of others that are let go of. Raises ShardBusyError, and counts neither."""
        self._count(-instead_of)
        if self._size_bytes + size_bytes > self._size_bytes_max:
            raise ShardBusyError(
                f"requests under way have {self._size_bytes} bytes, and with {size_bytes} more they would have over"
                f" {self._size_bytes_max} (SHARD_REQUESTS_SIZE_BYTES_MAX)"
            )
        self._count(size_bytes)

    def _count(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        telemetry.CALLS_SIZE_BYTES.inc(size_bytes)


class Place:
    """What one call takes of the room. is_answered: its last message is on its way, or was sent."""

    def __init__(self, room: CallRoom) -> None:
        self.is_answered = False
        self._room = room
        self._size_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Take room for a request, instead of for the one before. Raises ShardBusyError."""
        before, self._size_bytes = self._size_bytes, 0
        self._room.take(size_bytes, before)
        self._size_bytes = size_bytes
