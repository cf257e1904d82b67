"""The orderly end of a worker: others get its partitions, and steps in flight may end here, so as not to run twice."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.rounds import Rounds
from argosy.workers.dispatch.builds.borrowing import Borrowing
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.ownership.handover import Handover
from argosy.workers.dispatch.ownership.ownership import Ownership

log = structlog.get_logger()

_LOOK_S = 0.02  # a process that is told to end waits for it
_CLAIM_WAIT_S = 1.0  # once we left the log's group others are eligible, and claim while we still serve


class Drain:
    """The drain of one worker.

    With company (another living worker of the lane that does not drain): the others claim our partitions; those that
    are left after a second we give away, and the others adopt them. Steps in flight run to their end here, HANDOVER_S
    at the most, and their outcomes follow the turns. Alone: running turns go on for DRAIN_TIMEOUT_S, and steps that are
    still in flight then are not waited for.

    In both cases Postgres has DRAIN_WRITE_S to commit what is left to write: the last flushes and, of a worker that is
    alone, its notes as well.
    """

    def __init__(
        self,
        ownership: Ownership,
        borrowing: Borrowing,
        admission: Admission,
        handover: Handover,
        flusher: Flusher,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._ownership = ownership
        self._borrowing = borrowing
        self._admission = admission
        self._handover = handover
        self._flusher = flusher
        self._clock = clock
        self._rounds = Rounds("drain", clock)
        self._handover_s = settings.handover_s
        self._drain_timeout_s = settings.drain_timeout_s
        self._write_s = settings.drain_write_s

    async def run(self) -> None:
        """Drain, in bounded time. A turn that has not ended by then goes on at another worker."""
        log.info(telemetry.WORKER_DRAINING, running=self._admission.running)
        has_company = self._ownership.fleet.has_company
        self._borrowing.is_draining = True
        with self._rounds.outlive():
            await self._ownership.leave()
        if has_company:
            await self._until(lambda: not self._ownership.owned, _CLAIM_WAIT_S)
        self._admission.drain()
        if has_company:
            for each in self._ownership.owned:
                each.close()
            self._handover.stop_starting(self._admission.turns)
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
                await self._handover.delivered()

    async def _until(self, is_so: Callable[[], bool], bound_s: float) -> None:
        until_s = self._clock.monotonic_s() + bound_s
        while not is_so() and self._clock.monotonic_s() < until_s:
            await self._clock.sleep(_LOOK_S)
