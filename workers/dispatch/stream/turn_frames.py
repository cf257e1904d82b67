"""Number the frames of one turn in one attempt, and remember what a watcher with a given number was sent.

Two watchers that were sent the same get the same frame next, under the same number. The newest 256 numbers are
remembered, so that a watcher that comes back goes on exactly where it was: a number stands for all that it was sent
(`Seen`), not for a place in one channel. Numbers begin with the time of the first one: another process that goes on
with the same attempt uses higher ones, and never the same.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final

from argosy.workers.dispatch.stream.cut import Cut, Kind, Seen, after

_REMEMBERED: Final = 256
_PER_MS: Final = 1000
_AHEAD_MAX: Final = 3_600_000 * _PER_MS  # a client's last number is believed up to so far (an hour) ahead of ours


class TurnFrames:
    """The numbered frames of one turn's channels; lives as long as they do. unix_ms: the time now."""

    __slots__ = ("__weakref__", "_checksums", "_n", "_recent", "_seen_of")

    def __init__(self, unix_ms: int) -> None:
        self._n = unix_ms * _PER_MS
        self._seen_of: dict[int, Seen] = {}
        self._recent: dict[Any, tuple[int, Any, Seen]] = {}
        # By the generation of a channel: how many of its first characters, and their CRC-32.
        self._checksums: dict[int, tuple[int, int]] = {}

    def end_round(self) -> None:
        """Forget the frames of a round: only the watchers of that round share them."""
        self._recent.clear()

    def seen(self, n: int) -> Seen | None:
        """Return what a watcher whose last frame was n has been sent; None: n is not known, or not any more."""
        return self._seen_of.get(n)

    def numbered(
        self, seen: Seen, cut: Cut, make: Callable[[int, Cut, int], Any], *, above: int
    ) -> tuple[int, Any, Seen]:
        """Number the frame for this cut, for a watcher that has been sent `seen`, and whose last number is `above`.

        Returns the number, the frame as made by make(n, cut, checksum of the text before it), and what the watcher has
        been sent then.
        """
        channel = cut.channel
        same = (seen, cut.kind, channel.step, channel.name, cut.end)
        found = self._recent.get(same)
        if found is not None and found[0] > above:
            return found
        if self._n < above < self._n + _AHEAD_MAX:
            self._n = above  # another process, whose clock is ahead of ours, gave that number
        self._n += 1
        seen = after(seen, cut)
        self._seen_of[self._n] = seen
        if len(self._seen_of) > _REMEMBERED:
            del self._seen_of[next(iter(self._seen_of))]
        made = self._recent[same] = (self._n, make(self._n, cut, self._checksum(cut)), seen)
        return made

    def _checksum(self, cut: Cut) -> int:
        """Return the CRC-32 of the channel's text before the cut; 0 when there is none, or the cut is no text.

        A watcher that keeps up costs only the text that was sent since; one that is further back, all the text that it
        has.
        """
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
