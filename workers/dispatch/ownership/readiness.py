"""Decide whether a worker is ready.

It is once it has a place in the log's group, owns what it is eligible for (which may be nothing), and has looked at the
log. A log that goes away later does not make it unready: the worker still serves what it owns.
"""

from collections.abc import Awaitable, Callable, Collection

from argosy.clock import Clock
from argosy.ranges import in_ranges
from argosy.store.fault import Fault, fault_of

_LOOK_S = 0.25  # a worker that starts is waited for


class Readiness:
    """How far the worker's start has come. has_joined: it has a place in the log's group; has_claimed: a first round of
    claims is over; has_looked: it looked at the log while it owned all that it is eligible for. log_error: why the last
    call to the log failed, or "".
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.has_joined = False
        self.has_claimed = False
        self.has_looked = False
        self.log_error = ""

    def lacks(self, eligible: Collection[int], owned: Collection[int]) -> str:
        """Say in words what the worker waits for; empty when it is ready. From any thread."""
        because = f": {self.log_error}" if self.log_error else ""
        if not self.has_joined:
            return f"a place in the log's group{because}"
        if unclaimed := sorted(partition for partition in eligible if partition not in owned):
            return f"its partitions {in_ranges(unclaimed)}: they are not claimed yet"
        if not self.has_claimed:
            return "a first look at what it owns"
        return "" if self.has_looked else f"a first look at the log{because}"

    async def join(self, has_joined: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the log has said what this worker is eligible for, or that it is a member that gets nothing."""
        while not self.has_joined:
            try:
                self.has_joined = await has_joined() or self.has_joined
                self.log_error = ""
            except Exception as error:
                if fault_of(error) is Fault.END:
                    raise
                self.log_error = str(error) or type(error).__name__
            await self._clock.sleep(_LOOK_S)
