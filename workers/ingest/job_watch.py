"""What becomes of jobs without their worker: they are cancelled, their graphs are dropped, their lines are lost.

A look at Postgres each second tells which jobs have ended; what there is of them here is dropped as its turn comes, and
a batch that is under way may still be applied. Every few seconds jobs of this worker's partitions end whose graphs are
no more, and those whose lines the log has lost wait for their upload again (store/functions/ingest_notes.sql).
"""

from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.rounds import Rounds
from argosy.store.ingest import Jobs
from argosy.store.ingest_notes import Notes
from argosy.workers.ingest.intake import Intake
from argosy.workers.ingest.loading import Loading

log = structlog.get_logger()

_LOOK_S: Final = 1.0
_SWEEP_S: Final = 5.0


class JobWatch:
    """The looks. `run` until cancelled."""

    def __init__(self, jobs: Jobs, notes: Notes, intake: Intake, loading: Loading, clock: Clock) -> None:
        self._jobs = jobs
        self._notes = notes
        self._intake = intake
        self._loading = loading
        self._clock = clock
        self._swept_at_s = clock.monotonic_s()

    async def run(self) -> None:
        rounds = Rounds("ingest jobs", self._clock)
        while True:
            async with rounds:
                await self._look()
                if self._clock.monotonic_s() - self._swept_at_s >= _SWEEP_S:
                    await self._sweep()
            await self._clock.sleep(_LOOK_S)

    async def _look(self) -> None:
        feeds = {feed.job_id: feed for feed in self._loading.feeds}
        if feeds:
            for job_id in await self._jobs.ended(list(feeds)):
                feeds[job_id].is_over = True

    async def _sweep(self) -> None:
        self._swept_at_s = self._clock.monotonic_s()
        partitions, count = self._intake.numbers, self._intake.partition_count
        if not partitions:
            return
        await self._notes.end_dropped(partitions, count)
        if lost := await self._notes.lost(partitions, count):
            log.error(
                telemetry.INGEST_JOBS_LOST,
                jobs=lost,
                consequence="the log lost lines that it had taken: these jobs wait until their uploads are repeated",
            )
