"""The orderly end of a worker: others get its partitions, and steps in flight may end here, so as not to run twice."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.log import LogReader
from argosy.rounds import Rounds
from argosy.workers.dispatch.builds.borrowing import Borrowing
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.ownership.handover import Handover
from argosy.workers.dispatch.ownership.ownership import Ownership
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.tasks import Background

log = structlog.get_logger()

_LOOK_S = 0.02
_CLAIM_WAIT_S = 1.0  # once we left the log's group others are eligible, and claim while we still serve


class Drain:
    """The drain of one worker.

    With company (another living worker of the lane that does not drain): the others claim our partitions; those that
    are left after a second we give away, and the others adopt them. Steps in flight run to their end here, HANDOVER_S
    at the most, and their outcomes follow the turns. Alone: running turns go on for DRAIN_TIMEOUT_S, and steps that are
    still in flight then are not waited for.

    write_s (DRAIN_WRITE_S): how long Postgres may take to commit what is left to write: the last flushes and, of a
    worker that is alone, its notes as well.
    """

    def __init__(
        self,
        reader: LogReader,
        scheduler: Scheduler,
        admission: Admission,
        flusher: Flusher,
        ownership: Ownership,
        handover: Handover,
        background: Background,
        clock: Clock,
        *,
        claims: Claims,
        borrowing: Borrowing,
        handover_s: float,
        drain_timeout_s: float,
        write_s: float,
    ) -> None:
        self._reader = reader
        self._scheduler = scheduler
        self._admission = admission
        self._flusher = flusher
        self._ownership = ownership
        self._handover = handover
        self._background = background
        self._clock = clock
        self._owned = claims.owned
        self._rounds = Rounds("drain", clock)
        self._borrowing = borrowing
        self._handover_s = handover_s
        self._drain_timeout_s = drain_timeout_s
        self._write_s = write_s

    async def run(self) -> None:
        """Drain, in bounded time. A turn that has not ended by then goes on at another worker."""
        log.info(telemetry.WORKER_DRAINING, running=self._admission.running)
        has_company = self._ownership.fleet.has_company
        self._ownership.is_draining = self._borrowing.is_draining = True
        with self._rounds.outlive():
            await self._reader.leave()
        if has_company:
            await self._until(lambda: not self._owned, _CLAIM_WAIT_S)
        self._admission.drain()
        if has_company:
            for each in self._owned.values():
                each.close()
            self._handover.stop_starting(list(self._scheduler.live.values()))
        else:
            await self._until(lambda: not self._admission.running, self._drain_timeout_s)
        written_by_s = asyncio.get_running_loop().time() + self._write_s
        with contextlib.suppress(TimeoutError):  # Postgres is away: the notes will list what could not be flushed
            async with asyncio.timeout_at(written_by_s):
                await self._flusher.drained()
        if not (has_company or self._ownership.fleet.has_company):
            self._handover.wait_no_longer()
        self._handover.give_back(list(self._borrowing.turns.values()), self._borrowing.give_back)
        self._ownership.give_all()
        if has_company:
            written_by_s = asyncio.get_running_loop().time() + self._handover_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(written_by_s):
                await self._background.until_idle()

    async def _until(self, is_so: Callable[[], bool], bound_s: float) -> None:
        until_s = self._clock.monotonic_s() + bound_s
        while not is_so() and self._clock.monotonic_s() < until_s:
            await self._clock.sleep(_LOOK_S)
