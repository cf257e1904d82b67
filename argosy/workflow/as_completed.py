"""asyncio.as_completed in an order that is the same in every process.

Python's goes through a set of what it is given, and makes tasks of it in the order of memory addresses; so branches got
other numbers, and other keys, in a replay. Under a turn's loop they become tasks in the order in which they were given;
under any other loop nothing changes.
"""

import asyncio
from asyncio.events import _get_running_loop
from collections.abc import Iterable, Iterator
from functools import wraps
from typing import Any

from argosy.workflow.turn_loop import TurnLoop

_plain = asyncio.as_completed


@wraps(_plain)
def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> Iterator[Any]:
    """See asyncio.as_completed."""
    loop = _get_running_loop()
    if isinstance(loop, TurnLoop) and not (asyncio.isfuture(fs) or asyncio.iscoroutine(fs)):
        fs = list(dict.fromkeys(asyncio.ensure_future(each, loop=loop) for each in fs))
    return _plain(fs, timeout=timeout)


def install() -> None:
    """From here on `asyncio.as_completed` is this one."""
    asyncio.as_completed = as_completed
