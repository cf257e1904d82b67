"""Waits for servers that come up later than the command that needs them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import typer

from argosy.clock import Clock, SystemClock
from argosy.errors import StoreNotReadyError, UnavailableError
from argosy.logs.brokers_missing import BrokersMissingError

T = TypeVar("T")

_AGAIN_S: Final = 1.0
_CALL_S_MIN: Final = 30.0  # a server that does not answer is asked for longer than its clients take to say so
_CLOCK: Final = SystemClock()


async def reached(call: Callable[[], Awaitable[T]], within_s: float, server: str, clock: Clock = _CLOCK) -> T:
    """Return what call() returns, calling it again while its server cannot be reached, or lacks brokers.

    What it waits for is said, once until that changes. A call that hangs is given up after within_s, and 30 s at the
    least, so it must be one that may be cut off anywhere. Raises UnavailableError after within_s, and whatever else
    call() raises at once.
    """
    end_s, said = clock.monotonic_s() + within_s, ""
    while True:
        try:
            async with asyncio.timeout(max(_CALL_S_MIN, end_s - clock.monotonic_s())):
                return await call()
        except TimeoutError as error:
            raise StoreNotReadyError(f"{server} takes no connections after {within_s:g} s") from error
        except (UnavailableError, BrokersMissingError) as error:
            if clock.monotonic_s() + _AGAIN_S > end_s:
                raise UnavailableError(f"{server}: {error}") from error
            if str(error) != said:
                typer.echo(f"waiting for {server}: {error}", err=True)
            said = str(error)
        await clock.sleep(_AGAIN_S)
