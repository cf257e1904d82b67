"""Named points of a stream at which a test may make something else happen. They do nothing unless a test arms them.

Write `await sync_points.reach("subscribed")`, never `from …points import reach`: `arm` replaces the function.
"""

from collections.abc import Awaitable, Callable
from typing import Final

POINTS: Final = (
    "found",  # the turn to follow is known; its history has not been read
    "subscribed",  # the owner sends what happens from here on; history has not been read again
    "read",  # a page of history was read; it has not been sent to the client
    "caught_up",  # history was read to its end; nothing from the owner was taken since
)


async def _pass(point: str) -> None:
    """Do nothing: no test has armed the points."""


reach: Callable[[str], Awaitable[None]] = _pass


def arm(hook: Callable[[str], Awaitable[None]] | None) -> None:
    """Call hook with the name of each point from now on; None: disarm the points."""
    global reach
    reach = _pass if hook is None else hook
