"""How many views may be at work at once, how many be built, and how many idle ones stay beside them. Pure.

Rules:
- A view is at work while it is built, and while it is asked: it may then grow to all that a view may take, and counts
  with that. An idle one counts with what it said that it takes.
- What they count together stays within the bound, and so does their number. Idle ones go for those at work, and the one
  that was not used for longest goes first.
- Of those at work, at most half are being built: that may take minutes, and a query has a deadline. But two may be, so
  that a tenant whose build waits for the end of its own queries holds up no build of another.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

_BUILDS_MAX: Final = 4  # at once: each keeps another process busy, and waits for a thread that reads for all of them


class ViewBounds(NamedTuple):
    """Bounds of views. count_max, memory_bytes_max: of all of them. view_memory_bytes_max: of one.
    behind_size_bytes_max: of what one has not taken in yet. waiting_max: of queries that wait until a view may work.
    """

    count_max: int
    memory_bytes_max: int
    view_memory_bytes_max: int
    behind_size_bytes_max: int
    waiting_max: int

    @property
    def working_max(self) -> int:
        return max(1, min(self.count_max, self.memory_bytes_max // self.view_memory_bytes_max))

    @property
    def builds_max(self) -> int:
        return min(_BUILDS_MAX, max(2, self.working_max // 2), self.working_max)

    def surplus(self, idle_bytes: Sequence[int], working: int) -> int:
        """Return how many idle views go, beside so many at work. idle_bytes: of each, the one used last comes last."""
        left_bytes = self.memory_bytes_max - working * self.view_memory_bytes_max
        fit = sum(taken <= left_bytes for taken in accumulate(reversed(idle_bytes)))
        return len(idle_bytes) - max(0, min(fit, self.count_max - working))
