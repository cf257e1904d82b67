"""Keeps those metrics of a shard up to date that change by themselves, in its own process or in a caller's."""

from collections.abc import Callable
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.shards.shard import Shard

log = structlog.get_logger()

MEASURE_S: Final = 1.0  # metrics are hardly scraped more often


async def keep_measured(shard: Shard, clock: Clock, begun: Callable[[], None] = lambda: None) -> None:
    """Measure until the task is cancelled. begun: called before each time: the event loop goes on."""
    while True:
        begun()
        try:
            await shard.measure()
        except Exception as error:
            log.warning(telemetry.SHARD_UNMEASURED, error=f"{type(error).__name__}: {error}")
        await clock.sleep(MEASURE_S)
