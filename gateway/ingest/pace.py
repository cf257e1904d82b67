"""The part of a gateway's time that uploads may have: an upload of gigabytes is work without end, and a turn is none.

A POST of a turn goes through the event loop some eight times, and each time behind the pieces of all uploads that are
under way: were these always ready, a turn would be later by eight times a piece of each.
"""

from typing import Final

from argosy.clock import Clock

_TIMER_S: Final = 0.001  # of the event loop: a shorter rest is left for the next one


class Pace:
    """Lets the uploads of a process have at most a part of its time, together.

    ratio_max: this part; 1: all that others leave.
    """

    def __init__(self, ratio_max: float, clock: Clock) -> None:
        self._ratio_max = ratio_max
        self._clock = clock
        self._free_at_s = 0.0

    async def rest(self, worked_s: float) -> None:
        """Let others have their turn, for as long as the work that was just done, and that of all before, asks for."""
        now_s = self._clock.monotonic_s()
        self._free_at_s = max(self._free_at_s, now_s - worked_s) + worked_s / self._ratio_max
        rest_s = self._free_at_s - now_s
        await self._clock.sleep(rest_s if rest_s >= _TIMER_S else 0)
