"""Named points of a stream at which a test may let something else happen. Off unless armed.

Call it as `await points.reach("subscribed")`, never `from …points import reach`: arming replaces it.
"""

from collections.abc import Awaitable, Callable
from typing import Final

POINTS: Final = (
    "found",  # the turn to tell is known; its history has not been read
    "subscribed",  # the owner tells what happens from here on; history has not been read again
    "read",  # a page of history was read; it has not been told
    "caught_up",  # history was read to its end; nothing live was taken
)


async def _pass(point: str) -> None:
    """Nothing is armed."""


reach: Callable[[str], Awaitable[None]] = _pass


def arm(hook: Callable[[str], Awaitable[None]] | None) -> None:
    """hook: called with the name of each point; None: off."""
    global reach
    reach = _pass if hook is None else hook
