"""When a server is warm: what one record costs it does not change any more."""

import statistics
from collections.abc import Sequence
from typing import Final

_ROUNDS: Final = 4
_SPREAD_MAX: Final = 0.1  # of the median


def is_warm(costs: Sequence[float]) -> bool:
    """Whether the last rounds cost the same, and the very last is not the least: a slope is no noise."""
    last = costs[-_ROUNDS:]
    if len(last) < _ROUNDS:
        return False
    middle = statistics.median(last)
    return max(last) - min(last) <= 2 * _SPREAD_MAX * middle and last[-1] >= middle * (1 - _SPREAD_MAX / 2)
