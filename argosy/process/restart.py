"""When a process that ended by itself is started again."""

from typing import Final

_RESTART_S_MIN, _RESTART_S_MAX = 0.5, 10.0
_RESTART_FORGIVEN_S: Final = 60.0


def restart_delay_s(previous_s: float | None, lived_s: float) -> float:
    """How long to wait before a child that ended is started again. previous_s: before its last start, None: it was the
    first; lived_s: from that start to its end. Who lived for a minute begins anew.
    """
    if previous_s is None or lived_s >= _RESTART_FORGIVEN_S:
        return _RESTART_S_MIN
    return min(previous_s * 2, _RESTART_S_MAX)
