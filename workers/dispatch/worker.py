"""A dispatch worker from its start to its end. Its parts are started and stopped here; nothing is decided here."""

import asyncio
import contextlib
import os

import structlog

from argosy import rounds, telemetry
from argosy.address import http_url
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.consuming.process_life import ProcessRow
from argosy.life import ProcessKind
from argosy.process.ops_server import LOOP_BLOCKED_S, Answer, OpsServer
from argosy.record_mac import checked
from argosy.store.patience import when_ready
from argosy.store.pool import Pool
from argosy.store.worker import Beat, Workers
from argosy.workers.dispatch.drain import Drain
from argosy.workers.dispatch.outside import outside_of
from argosy.workers.dispatch.parts import Parts
from argosy.workers.dispatch.rehearsal import rehearse
from argosy.workers.dispatch.signs_of_life import SignsOfLife
from argosy.workers.dispatch.tasks import first
from argosy.workflow.catalog import Catalog
from argosy.workflow.graphs import Graphs

log = structlog.get_logger()

_THREAD_WAITS_TOLD = 256  # turns that wait for a thread, sent for `explain`: 4 KiB a heartbeat at the most


class Worker:
    """One dispatch worker process. Made on the event loop; `run` returns after `stop` and a drain. graphs: None when it
    knows no shards.
    """

    def __init__(
        self, settings: Settings, dsn: str, catalog: Catalog, pool: Pool, graphs: Graphs | None = None
    ) -> None:
        self._settings = settings
        self._dsn = dsn
        self._catalog = catalog
        self._workers = Workers(pool)
        clock = SystemClock()
        self._outside = outside_of(settings, dsn, pool, clock, graphs)
        self._row = ProcessRow(
            settings, pool, self._outside.worker_id, ProcessKind.DISPATCH, settings.lane, self._outside.server.address
        )
        self._parts = Parts(settings, catalog, self._outside, clock)
        self._stopping = asyncio.Event()
        self._signs: SignsOfLife | None = None

    def stop(self) -> None:
        """Make `run` drain and return. A second call ends the process at once, with exit code 1."""
        if self._stopping.is_set():
            os._exit(1)
        self._stopping.set()
        if self._signs is not None:
            self._signs.beat_soon()  # tells other workers that this one drains: none leaves anything to it any more

    async def run(self) -> None:
        parts, outside, settings = self._parts, self._outside, self._settings
        identity = await when_ready(outside.reader.identity)
        await when_ready(lambda: parts.log_guard.begin(identity))
        await when_ready(outside.accepts.open)
        parts.database_clock.set(await when_ready(outside.flushes.open))
        await when_ready(
            lambda: rehearse(settings.lane, outside.accepts, outside.flushes, outside.partitions, outside.heads)
        )
        await parts.services.start()
        ops = OpsServer(settings.metrics_host, settings.metrics_port, self)
        ops.start()
        worker_no = await when_ready(lambda: self._register(ops.port))
        await when_ready(lambda: self._workers.forget_dead(settings.worker_forget_s))
        signs = self._signs = SignsOfLife(
            self._dsn, outside.worker_id, worker_no, parts.clock, settings, self, parts.dispatcher
        )
        signs.start()
        take = checked(parts.intake.take, outside.macs)
        identity = await when_ready(lambda: outside.reader.open(take, parts.ownership.eligible))
        parts.claims.begin(identity)
        parts.loop_monitor.guard()
        telemetry.SLOTS.set(settings.dispatch_slots)
        log.info(
            telemetry.WORKER_STARTED,
            worker_id=str(outside.worker_id),
            pid=os.getpid(),
            lane=settings.lane,
            slots=settings.dispatch_slots,
            grpc=outside.server.address,
            metrics=http_url(settings.metrics_host, ops.port, "/metrics"),
        )
        tasks = parts.loops()
        try:
            await first(self._stopping.wait(), *tasks)
            await first(self._drain().run(), *tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end(signs, ops)

    async def _end(self, signs: SignsOfLife, ops: OpsServer) -> None:
        """Close everything, in bounded time. A part is closed even if one before it could not be."""
        worker_id = self._outside.worker_id
        async with contextlib.AsyncExitStack() as ending:  # the last callback runs first
            ending.callback(log.info, telemetry.WORKER_STOPPED, worker_id=str(worker_id))
            ending.callback(ops.stop)
            ending.push_async_callback(self._row.remove)
            ending.callback(signs.stop)
            ending.push_async_callback(self._parts.close)

    async def _register(self, metrics_port: int) -> int:
        workflows = [(each.name, each.version, each.description) for each in self._catalog.definitions]
        return await self._row.register(metrics_port, slots=self._settings.dispatch_slots, workflows=workflows)

    def _drain(self) -> Drain:
        parts = self._parts
        return Drain(
            parts.ownership,
            parts.borrowing,
            parts.admission,
            parts.handover,
            parts.flusher,
            parts.clock,
            self._settings,
        )

    # What others see

    @property
    def _is_store_read_only(self) -> bool:
        return self._signs is not None and self._signs.is_read_only

    def beat(self) -> Beat:
        """Return what the next heartbeat says. Called from another thread."""
        owned = list(self._parts.claims.owned.values())
        return Beat(
            in_flight=self._parts.admission.running,
            is_draining=self._stopping.is_set(),
            owned=sorted(each.partition for each in owned),
            ready_sessions=self._parts.scheduler.ready_count,
            lag=sum(each.lag for each in owned),
            threads_abandoned=self._parts.threads.abandoned,
            thread_waits=self._parts.threads.waiting[:_THREAD_WAITS_TOLD],
        )

    def health(self) -> Answer:
        """See Probes."""
        late_s = self._parts.loop_monitor.late_s
        return late_s < LOOP_BLOCKED_S, {"loop_late_s": round(late_s, 3)}

    def ready(self) -> Answer:
        """See Probes. waits_for: what is missing, in words."""
        has_store = self._signs is not None and self._signs.is_heard
        is_draining = self._stopping.is_set()
        threads = self._parts.threads
        lacks = "an answer from Postgres to its heartbeats" if not has_store else self._parts.ownership.lacks()
        if not lacks and threads.steps.is_exhausted:
            lacks = "a thread for synchronous steps: calls that were given up hold all of them"
        if not lacks and (loop := rounds.failing()):
            lacks = f"a loop that keeps failing: {loop}; its log says why ({telemetry.LOOP_ERROR})"
        return not lacks and not is_draining, {
            "partitions": sorted(self._parts.claims.owned),
            "running": self._parts.admission.running,
            "draining": is_draining,
            "store": "ok" if has_store else "read_only" if self._is_store_read_only else "unavailable",
            "threads_abandoned": threads.abandoned,
            "waits_for": lacks or None,
        }
