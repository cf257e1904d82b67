"""A crash is not an attempt: how a turn that was running when its worker died runs again. Pure.

After a crash everything runs again at once. A turn that was running in two of them since it last made progress (an
outcome of a step was recorded) may be what kills workers: it runs with its start durable first and with nobody else's
code in the process. Two such runs that end in a crash park it; one could be somebody else's kill.
"""

from enum import Enum
from typing import Final

FREE_CRASHES: Final = 2
ALONE_CRASHES: Final = 2

PARK_REASON: Final = "crashes_its_worker"


class Run(Enum):
    FREE = "free"
    ALONE = "alone"
    PARK = "park"


def decide(crashes: int) -> Run:
    """crashes: in how many crashes it was running since it last made progress."""
    if crashes < FREE_CRASHES:
        return Run.FREE
    return Run.ALONE if crashes < FREE_CRASHES + ALONE_CRASHES else Run.PARK
