"""Cut a worker off while it cannot write to Postgres.

After OWNER_LOST_S without an answer other workers may have claimed all its partitions. The worker starts no more turns
and leaves the log's group, but keeps what it has and goes on trying to write under its epochs: when no other worker
could claim meanwhile, nothing was lost.
"""

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.log import LogReader
from argosy.rounds import Rounds
from argosy.workers.dispatch.accept.intake import Intake
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.execution.executor import Executor
from argosy.workers.dispatch.flush.flusher import Flusher

log = structlog.get_logger()

_LOOK_S = 0.5  # little beside OWNER_LOST_S


def is_cut_off(stalled_s: float, bound_s: float) -> bool:
    """Whether the worker is cut off. stalled_s: for how long a call has been without an answer."""
    return stalled_s >= bound_s


class StoreMonitor:
    """A look at the streams of flushes and accepts, twice a second; `run` goes on until cancelled."""

    def __init__(
        self,
        reader: LogReader,
        flusher: Flusher,
        intake: Intake,
        admission: Admission,
        executor: Executor,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._flusher = flusher
        self._intake = intake
        self._admission = admission
        self._executor = executor
        self._clock = clock
        self._bound_s = settings.owner_lost_s

    async def run(self) -> None:
        rounds = Rounds("store monitor", self._clock)
        while True:
            await self._clock.sleep(_LOOK_S)
            async with rounds:
                await self.look()

    async def look(self) -> None:
        stalled_s = max(self._flusher.stalled_s, self._intake.stalled_s)
        cut_off = is_cut_off(stalled_s, self._bound_s)
        if cut_off == self._admission.is_cut_off:
            return
        if cut_off:
            self._admission.cut_off()
            log.error(telemetry.OWNER_CUT_OFF, without_answer_s=round(stalled_s, 1))
            await self._reader.leave()
        else:
            self._admission.reconnect()
            log.warning(telemetry.STORE_RECONNECTED)
            await self._reader.join()
            self._executor.fill()
