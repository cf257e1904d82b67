"""Waits for a Postgres that is there but does not take connections yet: it has no free one, or is starting.

A process that starts waits for it, and logs that. A Postgres that cannot be reached at all, or that refuses the login,
stops the start instead.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from argosy import telemetry
from argosy.clock import Clock, SystemClock
from argosy.errors import StoreNotReadyError, UnavailableError

T = TypeVar("T")

log = structlog.get_logger()

_DELAY_S_MIN: Final = 0.1  # doubled each time: Postgres starts within seconds
_DELAY_S_MAX: Final = 2.0  # a start that waits for long says so every other second
_CLOCK: Final = SystemClock()


def is_not_ready(error: BaseException | None) -> bool:
    """Whether the error is, or was raised from, a StoreNotReadyError."""
    while error is not None:
        if isinstance(error, StoreNotReadyError):
            return True
        error = error.__cause__
    return False


async def when_ready(call: Callable[[], Awaitable[T]], clock: Clock = _CLOCK) -> T:
    """Return what call() returns, calling it again for as long as Postgres takes no connections yet.

    A call that failed so has done nothing. Raises whatever else `call` raises.
    """
    delay_s = _DELAY_S_MIN
    while True:
        try:
            return await call()
        except UnavailableError as error:
            if not is_not_ready(error):
                raise
            log.warning(telemetry.STORE_NOT_READY, reason=str(error))
        await clock.sleep(delay_s * random.uniform(0.5, 1.0))  # so that processes do not all come at once
        delay_s = min(delay_s * 2, _DELAY_S_MAX)
