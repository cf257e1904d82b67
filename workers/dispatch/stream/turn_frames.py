"""Number the frames of one turn in one attempt, and remember what a subscriber with a given number was sent.

Two subscribers that were sent the same get the same frame next, under the same number. The newest 256 numbers are
remembered, so that a subscriber that comes back goes on exactly where it was: a number stands for all that it was sent
(`Sent`), not for a place in one channel. Numbers begin with the time of the first one: another process that goes on
with the same attempt uses higher ones, and never the same.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final

from argosy.workers.dispatch.stream.channel_update import ChannelUpdate, Sent, UpdateKind, with_update

_REMEMBERED: Final = 256
_PER_MS: Final = 1000  # numbers in a millisecond: a turn does not make so many, so time stays ahead of them
_AHEAD_MAX: Final = 3_600_000 * _PER_MS  # a client's last number is believed up to so far (an hour) ahead of ours


class TurnFrames:
    """The numbered frames of one turn's channels; lives as long as they do. unix_ms: the time now."""

    __slots__ = ("__weakref__", "_checksums", "_n", "_recent", "_sent_of")

    def __init__(self, unix_ms: int) -> None:
        self._n = unix_ms * _PER_MS
        self._sent_of: dict[int, Sent] = {}
        self._recent: dict[Any, tuple[int, Any, Sent]] = {}
        # By the generation of a channel: how many of its first characters, and their CRC-32.
        self._checksums: dict[int, tuple[int, int]] = {}

    def end_round(self) -> None:
        """Forget the frames of a round: only the subscribers of that round share them."""
        self._recent.clear()

    def sent(self, n: int) -> Sent | None:
        """Return what a subscriber whose last frame was n has been sent; None: n is not known, or not any more."""
        return self._sent_of.get(n)

    def numbered(
        self, sent: Sent, update: ChannelUpdate, make: Callable[[int, ChannelUpdate, int], Any], *, above: int
    ) -> tuple[int, Any, Sent]:
        """Number the frame for an update, for a subscriber that has been sent `sent`, and whose last number is `above`.

        Returns the number, the frame as made by make(n, update, checksum of the text before it), and what the
        subscriber has been sent then.
        """
        channel = update.channel
        same = (sent, update.kind, channel.step, channel.name, update.end)
        found = self._recent.get(same)
        if found is not None and found[0] > above:
            return found
        if self._n < above < self._n + _AHEAD_MAX:
            self._n = above  # another process, whose clock is ahead of ours, gave that number
        self._n += 1
        sent = with_update(sent, update)
        self._sent_of[self._n] = sent
        if len(self._sent_of) > _REMEMBERED:
            del self._sent_of[next(iter(self._sent_of))]
        made = self._recent[same] = (self._n, make(self._n, update, self._checksum(update)), sent)
        return made

    def _checksum(self, update: ChannelUpdate) -> int:
        """Return the CRC-32 of the channel's text before the update; 0 when there is none, or the update is no text.

        A subscriber that keeps up costs only the text that was sent since; one that is further back, all the text that
        it has.
        """
        if update.kind is not UpdateKind.TEXT or not update.begin:
            return 0
        channel = update.channel
        length, checksum = self._checksums.get(channel.generation, (0, 0))
        if length > update.begin:
            length, checksum = 0, 0
        checksum = zlib.crc32(channel.text(length, update.begin).encode(), checksum)
        self._checksums[channel.generation] = (update.begin, checksum)
        if len(self._checksums) > _REMEMBERED:
            del self._checksums[next(iter(self._checksums))]
        return checksum
