"""What the log last said about which member may read which partitions, and whether that still holds.

A log that does not hear a member for the group's session time-out takes it out of the group and gives its partitions to
other members. It does not tell the member: cut off or stopped (SIGSTOP, a suspended machine), a member would go on
believing that the partitions are its own, and would take them back from the workers that have claimed them. So a member
must find out by itself: by its own monotonic clock, which goes on while the process is stopped, the word is old before
the session is over. The time counts from when the log was last certainly heard from.
"""

from typing import Final

from argosy.clock import Clock

# Before the end of the session: statistics report what came every 0.25 s, and readers look at the word as often.
_AHEAD_S: Final = 0.75
_STOCK_SESSION_S: Final = 45.0


def is_out(silent_s: float, session_timeout_s: float | None, ahead_s: float = _AHEAD_S) -> bool:
    """Whether the log may have taken a member that has not heard from it for silent_s out of the group.

    session_timeout_s: of the group; None when it is not known (then 45 s, a stock broker's). ahead_s: how long before
    the end of the session the answer becomes True, but not before half of the session.
    """
    session_s = session_timeout_s or _STOCK_SESSION_S
    return silent_s > max(session_s - ahead_s, session_s / 2)


class Word:
    """The log's last word. One thread renews it, any thread asks.

    settles_s: for how long after a silence the word stays old, because a member that hears from the log again may still
    learn what became of its partitions meanwhile. ahead_s: how long before the log's time-out the word becomes old.
    """

    def __init__(
        self,
        clock: Clock,
        session_timeout_s: float | None = None,
        *,
        settles_s: float = 0.0,
        ahead_s: float = _AHEAD_S,
    ) -> None:
        self._clock = clock
        self.session_timeout_s = session_timeout_s
        self._settles_s = settles_s
        self._ahead_s = ahead_s
        self._begun_at_s = clock.monotonic_s()
        self._renewed_at_s: float | None = None
        self._back_at_s = float("-inf")
        self._is_lost = False

    @property
    def has_come(self) -> bool:
        """Whether the log was ever heard from."""
        return self._renewed_at_s is not None

    @property
    def silent_s(self) -> float:
        """Seconds since the log was last heard from, or since the beginning."""
        renewed_at_s = self._renewed_at_s
        return self._clock.monotonic_s() - (self._begun_at_s if renewed_at_s is None else renewed_at_s)

    @property
    def is_out(self) -> bool:
        """Whether the log, which was heard from before, may have taken this member out of the group."""
        return self.has_come and self._is_silent

    @property
    def is_old(self) -> bool:
        """Whether the log's last word may not hold any more: a worker must not take partitions from others by it."""
        is_settling = self._clock.monotonic_s() - self._back_at_s < self._settles_s
        return self._is_lost or is_settling or self._is_silent

    @property
    def _is_silent(self) -> bool:
        return is_out(self.silent_s, self.session_timeout_s, self._ahead_s)

    def renew(self, at_s: float) -> None:
        """Note that the log was heard from at at_s (monotonic) or later."""
        if self._is_silent:
            self._back_at_s = self._clock.monotonic_s()  # before the rest: a thread that asks in between gets "old"
        self._renewed_at_s = at_s
        self._is_lost = False

    def lost(self) -> None:
        """Note that the log has lost this member's sign of life.

        Until it is heard from again, it may give this member's partitions to others at once.
        """
        self._is_lost = True

    def forget(self) -> None:
        """Begin as another member, of which nothing is known yet."""
        self._begun_at_s = self._clock.monotonic_s()
        self._renewed_at_s = None
        self._back_at_s = float("-inf")
        self._is_lost = False
