"""The numbers of one turn's frames in one attempt, and what a watcher that has one of them was sent.

Two watchers that have been sent the same get the same frame under the same number. The last numbers are remembered, so
that a watcher that comes back goes on exactly where it was: what it had is the whole of `seen`, not a place in one
channel. Numbers begin with the moment of the first one: another process that goes on with the same attempt uses higher
ones, and never the same.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final

from argosy.workers.dispatch.watch.cut import Cut, Kind, Seen, after

_REMEMBERED: Final = 256
_PER_MS: Final = 1000
_AHEAD_MAX: Final = 3_600_000 * _PER_MS  # what clients send as their last number is believed up to here


class TurnFrames:
    """As long-lived as the turn's channels. unix_ms: now."""

    __slots__ = ("__weakref__", "_checksums", "_n", "_recent", "_seen_of")

    def __init__(self, unix_ms: int) -> None:
        self._n = unix_ms * _PER_MS
        self._seen_of: dict[int, Seen] = {}
        self._recent: dict[Any, tuple[int, Any, Seen]] = {}
        # By the generation of a channel: CRC-32 of so many of its first characters.
        self._checksums: dict[int, tuple[int, int]] = {}

    def end_round(self) -> None:
        """What watchers were sent together is not kept for later ones."""
        self._recent.clear()

    def seen(self, n: int) -> Seen | None:
        """What a watcher has been sent whose last frame was n; None: not known (any more)."""
        return self._seen_of.get(n)

    def numbered(
        self, seen: Seen, cut: Cut, make: Callable[[int, Cut, int], Any], *, above: int
    ) -> tuple[int, Any, Seen]:
        """What a watcher who has been sent `seen` is sent now: the number, the frame (make(n, cut, checksum of the text
        before it)), what it has then. above: the last number that it has.
        """
        channel = cut.channel
        same = (seen, cut.kind, channel.step, channel.name, cut.end)
        found = self._recent.get(same)
        if found is not None and found[0] > above:
            return found
        if self._n < above < self._n + _AHEAD_MAX:
            self._n = above  # it was made where the clock is ahead of ours
        self._n += 1
        seen = after(seen, cut)
        self._seen_of[self._n] = seen
        if len(self._seen_of) > _REMEMBERED:
            del self._seen_of[next(iter(self._seen_of))]
        made = self._recent[same] = (self._n, make(self._n, cut, self._checksum(cut)), seen)
        return made

    def _checksum(self, cut: Cut) -> int:
        """Of the text before it. Who follows costs what he is sent; who is further back, all that he has."""
        if cut.kind is not Kind.TEXT or not cut.begin:
            return 0
        channel = cut.channel
        length, checksum = self._checksums.get(channel.generation, (0, 0))
        if length > cut.begin:
            length, checksum = 0, 0
        checksum = zlib.crc32(channel.text(length, cut.begin).encode(), checksum)
        self._checksums[channel.generation] = (cut.begin, checksum)
        if len(self._checksums) > _REMEMBERED:
            del self._checksums[next(iter(self._checksums))]
        return checksum
