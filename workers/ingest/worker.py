"""An ingest worker from its start to its end. Its parts are started and stopped here; nothing is decided here."""

import asyncio
import contextlib
import os
from typing import Final

import structlog

from argosy import rounds, telemetry
from argosy.address import http_url
from argosy.clock import Clock, SystemClock
from argosy.config import Settings
from argosy.consuming.process_life import ProcessLife, ProcessRow
from argosy.errors import OwnershipLostError, UnavailableError
from argosy.graph.graphs import Graphs
from argosy.ingest.job import LANE
from argosy.life import ProcessKind
from argosy.process.ops_server import Answer, OpsServer
from argosy.record_mac import checked
from argosy.store.patience import when_ready
from argosy.store.pool import Pool
from argosy.store.worker import Beat, Told
from argosy.workers.ingest.outside import outside_of
from argosy.workers.ingest.parts import Parts
from argosy.workers.ingest.topics.topic_readings import TopicReadings

log = structlog.get_logger()

_DRAIN_S: Final = 5.0  # a batch takes some 50 ms; what is cut off is known to its file when it is sent again
_DRAIN_LOOK_S: Final = 0.02


class Worker:
    """One ingest worker. `run` returns when it was told to stop, and has said what it knew. Raises SettingError for a
    mapping of a topic that cannot be loaded.
    """

    def __init__(self, settings: Settings, dsn: str, pool: Pool, graphs: Graphs, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._outside = outside_of(settings, dsn, pool, graphs, self._clock)
        self._parts = Parts(settings, self._outside, self._clock)
        self._topics = TopicReadings(graphs, pool, self._clock, settings)
        row = ProcessRow(settings, pool, self._outside.worker_id, ProcessKind.INGEST, LANE)
        self._life = ProcessLife(row, dsn, self._clock, self, ttl_s=settings.heartbeat_ttl_s)
        self._is_draining = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until stopping is set. Raises SettingError for a log that must not be read, and what ends the process."""
        parts, outside, settings = self._parts, self._outside, self._settings
        identity = await when_ready(outside.reader.identity)
        await when_ready(lambda: parts.guard.begin(identity))
        ops = OpsServer(settings.metrics_host, settings.metrics_port, self)
        ops.start()
        take = checked(parts.intake.take, outside.macs)
        parts.intake.begin(await when_ready(lambda: outside.reader.open(take, parts.intake.eligible)))
        log.info(
            telemetry.INGEST_STARTED,
            worker_id=str(outside.worker_id),
            pid=os.getpid(),
            topic=settings.ingest_topic,
            metrics=http_url(settings.metrics_host, ops.port, "/metrics"),
        )
        loops = (
            self._life.run(ops.port),
            parts.intake.run(),
            self._say_on(),
            parts.loading.run(),
            parts.watch.run(),
            self._topics.run(),
        )
        tasks = [asyncio.create_task(each) for each in loops]
        waiting = asyncio.create_task(stopping.wait())
        try:
            done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:
                task.result()
            await self._drain()
        finally:
            for task in (waiting, *tasks):
                task.cancel()
            await asyncio.gather(waiting, *tasks, return_exceptions=True)
            await self._end(ops)

    async def _say_on(self) -> None:
        """Say what was found out, for ever. When the database went back, nothing of it holds, and all begins again."""
        while True:
            try:
                await self._parts.progress.run()
            except OwnershipLostError:
                self._parts.intake.begin_again()

    async def _drain(self) -> None:
        """Read and send nothing more, wait for what is under way, and say what came of it."""
        self._is_draining = True
        self._parts.intake.drain()
        self._parts.loading.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while self._parts.loading.in_flight:
                    await self._clock.sleep(_DRAIN_LOOK_S)
                with contextlib.suppress(UnavailableError, OwnershipLostError):
                    await self._parts.progress.say()

    async def _end(self, ops: OpsServer) -> None:
        """Close everything. A part is closed even if one before it could not be."""
        async with contextlib.AsyncExitStack() as ending:  # the last callback runs first
            ending.callback(log.info, telemetry.INGEST_STOPPED, worker_id=str(self._outside.worker_id))
            ending.callback(ops.stop)
            ending.push_async_callback(self._life.end)
            ending.callback(self._parts.loading.close)
            ending.push_async_callback(self._outside.reader.close)

    # What others see

    def beat(self) -> Beat:
        """See Living."""
        intake = self._parts.intake
        return Beat(
            in_flight=self._parts.loading.in_flight,
            is_draining=self._is_draining,
            owned=intake.numbers,
            ready_sessions=0,
            lag=intake.lag,
        )

    def after_heartbeat(self, told: Told) -> None:
        """See Living."""
        self._parts.guard.heard(told)

    def health(self) -> Answer:
        """See Probes."""
        return True, {}

    def ready(self) -> Answer:
        """See Probes. waits_for: what is missing, in words."""
        lacks = "" if self._parts.intake.has_begun else "the log, Postgres, or both, to begin to read"
        if not lacks and (loop := rounds.failing()):
            lacks = f"a loop that keeps failing: {loop}; its log says why ({telemetry.LOOP_ERROR})"
        return not lacks and not self._is_draining, {
            "partitions": self._parts.intake.numbers,
            "in_flight": self._parts.loading.in_flight,
            "draining": self._is_draining,
            "waits_for": lacks or None,
        }
