"""What the log said last of who may read what, and whether it still holds, as far as a member can know by itself.

A log takes a member that it does not hear of for the group's session out of the group and gives its partitions to
others. The member is not told: cut off, or stopped (SIGSTOP, a suspended machine), it would go on thinking that they
are its own, and take them back from whoever has claimed them. So the word is old before the session is over, by the
member's own monotonic clock, which goes on while a process is stopped; it counts from the last time that the log was
certainly heard.
"""

from typing import Final

from argosy.clock import Clock

_AHEAD_S: Final = 0.75  # of the log: what was heard is known a quarter of a second later, and looked at as often
_STOCK_SESSION_S: Final = 45.0


def is_out(silent_s: float, session_timeout_s: float | None, ahead_s: float = _AHEAD_S) -> bool:
    """session_timeout_s: of the group; None when nobody says. ahead_s: of the log."""
    session_s = session_timeout_s or _STOCK_SESSION_S
    return silent_s > max(session_s - ahead_s, session_s / 2)


class Word:
    """Told on one thread, asked from any. settles_s: who was silent and is heard again may still learn for so long what
    became of its partitions meanwhile. ahead_s: of the log, what it said is old.
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
        self._heard_at_s: float | None = None
        self._back_at_s = float("-inf")
        self._is_lost = False

    @property
    def has_come(self) -> bool:
        """Whether the log was ever heard."""
        return self._heard_at_s is not None

    @property
    def silent_s(self) -> float:
        """Since the log was heard last, or since the beginning."""
        heard_at_s = self._heard_at_s
        return self._clock.monotonic_s() - (self._begun_at_s if heard_at_s is None else heard_at_s)

    @property
    def is_out(self) -> bool:
        """Whether the log, which was heard, may have taken us out of the group."""
        return self.has_come and self._is_silent

    @property
    def is_old(self) -> bool:
        """Whether what the log said may not hold any more: nothing may be taken from others by it."""
        is_settling = self._clock.monotonic_s() - self._back_at_s < self._settles_s
        return self._is_lost or is_settling or self._is_silent

    @property
    def _is_silent(self) -> bool:
        return is_out(self.silent_s, self.session_timeout_s, self._ahead_s)

    def heard(self, at_s: float) -> None:
        """The log spoke, not before this moment (monotonic)."""
        if self._is_silent:
            self._back_at_s = self._clock.monotonic_s()  # first: whoever asks in between hears that it is old
        self._heard_at_s = at_s
        self._is_lost = False

    def lost(self) -> None:
        """What the log knew us by is gone: it may give to others at once what it gave us, until it is heard again."""
        self._is_lost = True

    def forget(self) -> None:
        """Another member, from now on: nothing is known of it."""
        self._begun_at_s = self._clock.monotonic_s()
        self._heard_at_s = None
        self._back_at_s = float("-inf")
        self._is_lost = False
