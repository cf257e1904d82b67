"""The pause before a child process that ended by itself is started again."""

from typing import Final

_RESTART_S_MIN, _RESTART_S_MAX = 0.5, 10.0
_RESTART_FORGIVEN_S: Final = 60.0


def restart_delay_s(previous_s: float | None, lived_s: float) -> float:
    """Return how long to wait before a child that ended is started again: 0.5 s at first, doubled each time up to 10 s.
    previous_s: the wait before its last start; None when that was the first start. lived_s: from that start to its end;
    after 60 s the waits begin at 0.5 s again.
    """
    if previous_s is None or lived_s >= _RESTART_FORGIVEN_S:
        return _RESTART_S_MIN
    return min(previous_s * 2, _RESTART_S_MAX)
