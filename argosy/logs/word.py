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


def is_out(silent_s: float, session_timeout_s: float | None) -> bool:
    """session_timeout_s: of the group; None when nobody says."""
    session_s = session_timeout_s or _STOCK_SESSION_S
    return silent_s > max(session_s - _AHEAD_S, session_s / 2)


class Word:
    """Told on one thread, asked from any. settles_s: who was silent and is heard again may still learn for so long what
    became of its partitions meanwhile.
    """

    def __init__(self, clock: Clock, session_timeout_s: float | None = None, *, settles_s: float = 0.0) -> None:
        self._clock = clock
        self.session_timeout_s = session_timeout_s
        self._settles_s = settles_s
        self._begun_at_s = clock.monotonic_s()
        self._heard_at_s: float | None = None
        self._back_at_s = float("-inf")

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
        return self.has_come and is_out(self.silent_s, self.session_timeout_s)

    @property
    def is_old(self) -> bool:
        """Whether what the log said may not hold any more: nothing may be taken from others by it."""
        is_settling = self._clock.monotonic_s() - self._back_at_s < self._settles_s
        return is_settling or is_out(self.silent_s, self.session_timeout_s)

    def heard(self, at_s: float) -> None:
        """The log spoke, not before this moment (monotonic)."""
        if is_out(self.silent_s, self.session_timeout_s):
            self._back_at_s = self._clock.monotonic_s()  # first: whoever asks in between hears that it is old
        self._heard_at_s = at_s

    def forget(self) -> None:
        """Another member, from now on: nothing is known of it."""
        self._begun_at_s = self._clock.monotonic_s()
        self._heard_at_s = None
        self._back_at_s = float("-inf")
