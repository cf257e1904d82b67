"""Cut a worker off while it cannot write to Postgres.

After OWNER_LOST_S without an answer other workers may have claimed all its partitions. The worker starts no more turns
and leaves the log's group, but keeps what it has and goes on trying to write under its epochs: when no other worker
could claim meanwhile, nothing was lost.
"""

from collections.abc import Callable

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.log import LogReader
from argosy.rounds import Rounds
from argosy.workers.dispatch.execution.executor import Executor

log = structlog.get_logger()

_LOOK_S = 0.5


def is_cut_off(stalled_s: float, bound_s: float) -> bool:
    """Whether the worker is cut off. stalled_s: for how long a call has been without an answer."""
    return stalled_s >= bound_s


class StoreMonitor:
    """A look at the streams of flushes, twice a second; `run` goes on until cancelled.

    stalled_s(): for how long the stream of flushes that waits longest has been without an answer.
    """

    def __init__(
        self, reader: LogReader, executor: Executor, clock: Clock, *, bound_s: float, stalled_s: Callable[[], float]
    ) -> None:
        self._reader = reader
        self._executor = executor
        self._clock = clock
        self._bound_s = bound_s
        self._stalled_s = stalled_s

    async def run(self) -> None:
        rounds = Rounds("store monitor", self._clock)
        while True:
            await self._clock.sleep(_LOOK_S)
            async with rounds:
                await self.look()

    async def look(self) -> None:
        cut_off = is_cut_off(self._stalled_s(), self._bound_s)
        if cut_off == self._executor.is_cut_off:
            return
        self._executor.is_cut_off = cut_off
        if cut_off:
            log.error(telemetry.OWNER_CUT_OFF, without_answer_s=round(self._stalled_s(), 1))
            await self._reader.leave()
        else:
            log.warning(telemetry.STORE_RECONNECTED)
            await self._reader.join()
            self._executor.fill()
