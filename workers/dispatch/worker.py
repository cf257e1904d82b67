"""A dispatch worker: its parts are made and joined here, and nothing is decided here."""

import asyncio
import contextlib
import os
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import structlog

from argosy import ids, telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.log import LogReader
from argosy.logs.open import open_reader
from argosy.ops_server import OpsServer
from argosy.signing import load_secret
from argosy.store.head import Heads
from argosy.store.numbered_stream import Answer, NumberedStream
from argosy.store.partition import Partitions
from argosy.store.pool import Pool
from argosy.store.worker import Workers
from argosy.workflow.catalog import Catalog
from workers.dispatch.database_clock import DatabaseClock
from workers.dispatch.executor import Executor
from workers.dispatch.flusher import Flusher
from workers.dispatch.heartbeat import Heartbeat
from workers.dispatch.inbox import Inbox
from workers.dispatch.intake import Intake
from workers.dispatch.loop_watch import LoopWatch
from workers.dispatch.ownership import Ownership
from workers.dispatch.pager import Pager
from workers.dispatch.poke import PokeServer, PokeService
from workers.dispatch.scheduler import Scheduler
from workers.dispatch.tasks import first
from workers.dispatch.turn import Owned, Stop, Turn

log = structlog.get_logger()

_LOOP_BLOCKED_S = 5.0
_WRITE_S = 10.0
_CLOSE_S = 10.0
_ACCEPTS, _FLUSHES = 1, 2


class Worker:
    """One dispatch worker process. Made on the event loop; `run` returns after `stop` and a drain."""

    def __init__(self, settings: Settings, dsn: str, catalog: Catalog, pool: Pool) -> None:
        self._settings = settings
        self._dsn = dsn
        self._catalog = catalog
        self._clock = SystemClock()
        self._database_clock = DatabaseClock(self._clock)
        self._loop_watch = LoopWatch(self._clock)
        self._worker_id = uuid.uuid4()
        self._owned: dict[int, Owned] = {}
        self._partition_count = 0
        self._stopping = asyncio.Event()
        self._threads = ThreadPoolExecutor(settings.dispatch_threads, thread_name_prefix="step")
        self._reader: LogReader = open_reader(settings, dsn, self._clock)
        self._workers = Workers(pool)
        self._heads = Heads(pool, settings.lane, input_size_bytes_max=settings.head_input_size_bytes_max)
        self._accepts = NumberedStream(dsn, self._worker_id, _ACCEPTS, timeout_s=settings.flush_timeout_s)
        self._flushes = NumberedStream(dsn, self._worker_id, _FLUSHES, timeout_s=settings.flush_timeout_s)
        self._poke_server = PokeServer(
            PokeService(on_inbox=lambda: self._inbox.poke(), on_log=lambda: self._reader.wake()),
            secret=load_secret(settings.graph_service_auth_secret, settings.argosy_data_dir),
            skew_s=settings.signing_skew_s,
            clock=self._clock,
            host=settings.grpc_host,
            port=settings.grpc_port,
        )
        self._partitions = Partitions(pool, self._worker_id, self._poke_server.address, settings.lane)
        self._join()

    def _join(self) -> None:
        """The parts and their callbacks."""
        settings = self._settings
        self._scheduler = Scheduler(settings.look_ahead_turns)
        self._flusher = Flusher(
            self._flushes,
            settings.lane,
            self._clock,
            rows_max=settings.flush_rows_max,
            wait_ms=settings.flush_wait_ms,
            on_written=lambda turns: self._executor.written(turns),
            on_moved=lambda inbox_ids: self._inbox.moved(inbox_ids),
            on_placed=lambda placements: self._inbox.placed(placements),
            on_refused=self._refused,
            on_answer=self._answered,
            on_timers=lambda due_s: self._inbox.expect(due_s),
        )
        self._pager = Pager(
            self._heads,
            self._scheduler,
            self._clock,
            look_ahead_turns=settings.look_ahead_turns,
            ready_sessions_max=settings.ready_sessions_max,
            begin=lambda turn: self._executor.begin(turn),
            on_ready=lambda: self._executor.fill(),
        )
        self._executor = Executor(
            self._scheduler,
            self._flusher,
            self._catalog,
            self._threads,
            slots=settings.dispatch_slots,
            flush_queue_max=settings.flush_queue_max,
            payload_size_bytes_max=settings.payload_size_bytes_max,
            step_timeout_s_max=settings.step_timeout_s_max,
            events_max=settings.events_per_turn_max,
            database_time_s=self._database_clock.now_s,
            load=self._pager.load,
            again=lambda turn: self._inbox.again(turn),
            on_freed=self._moved_on,
        )
        self._inbox = Inbox(
            self._heads,
            self._scheduler,
            self._executor,
            self._flusher,
            self._pager,
            self._clock,
            owned=self._owned,
            partition_of=lambda bucket: ids.partition_of(bucket, self._partition_count),
            interval_s=settings.inbox_interval_s,
        )
        self._intake = Intake(
            self._accepts,
            self._reader,
            self._scheduler,
            self._clock,
            lane=settings.lane,
            owned=self._owned,
            batch_max=settings.log_batch_max,
            ready_sessions_max=settings.ready_sessions_max,
            head_input_size_bytes_max=settings.head_input_size_bytes_max,
            restart=lambda owned: self._ownership.restart(owned),
            on_accepted=self._moved_on,
            on_lost=lambda owned: self._ownership.lost(owned),
            on_answer=self._answered,
        )
        self._ownership = Ownership(
            self._partitions,
            self._reader,
            self._intake,
            self._clock,
            owned=self._owned,
            interval_s=settings.reconcile_interval_s,
            database_time_s=self._database_clock.now_s,
            on_claimed=self._claimed,
            on_void=self._void,
        )

    def stop(self) -> None:
        """Drain, then return from `run`; asked a second time, end the process at once."""
        if self._stopping.is_set():
            os._exit(1)
        self._stopping.set()

    async def run(self) -> None:
        settings = self._settings
        await self._accepts.open()
        await self._flushes.open()
        await self._poke_server.start()
        ops = OpsServer(settings.metrics_host, settings.metrics_port, health=self._health, ready=self._ready)
        ops.start()
        await self._workers.register(
            self._worker_id,
            kind="dispatch",
            lane=settings.lane,
            build=settings.argosy_build or version("argosy"),
            host=socket.gethostname(),
            pid=os.getpid(),
            address=self._poke_server.address,
            metrics_port=ops.port,
            slots=settings.dispatch_slots,
            workflows=[(each.name, each.version, each.description) for each in self._catalog.definitions],
        )
        await self._workers.forget_dead(settings.worker_forget_s)
        heartbeat = Heartbeat(
            self._dsn,
            self._worker_id,
            settings.heartbeat_interval_s,
            in_flight=lambda: self._executor.running,
            is_draining=self._stopping.is_set,
        )
        heartbeat.start()
        identity = await self._reader.open(self._intake.take, self._ownership.eligible)
        self._partition_count = identity.partition_count
        self._ownership.begin(identity)
        log.info(
            telemetry.WORKER_STARTED,
            worker_id=str(self._worker_id),
            pid=os.getpid(),
            lane=settings.lane,
            slots=settings.dispatch_slots,
            grpc=self._poke_server.address,
            metrics=f"http://{settings.metrics_host}:{ops.port}/metrics",
        )
        loops = [
            self._flusher.run(),
            self._pager.run(),
            self._inbox.run(),
            self._intake.run(),
            self._ownership.run(),
            self._loop_watch.run(),
        ]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await first(self._stopping.wait(), *tasks)
            with contextlib.suppress(TimeoutError):  # what could not be written goes on elsewhere
                await self._drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._reader.close()
            await self._poke_server.stop()
            heartbeat.stop()
            await self._workers.remove(self._worker_id)
            await self._accepts.close()
            await self._flushes.close()
            ops.stop()
            self._threads.shutdown(wait=False, cancel_futures=True)
            log.info(telemetry.WORKER_STOPPED, worker_id=str(self._worker_id))

    async def _drain(self) -> None:
        """Start nothing new, let what runs end, write everything, let go. What did not end goes on elsewhere."""
        log.info(telemetry.WORKER_DRAINING, running=self._executor.running)
        self._executor.is_draining = True
        self._reader.pause()
        deadline_s = self._clock.monotonic_s() + self._settings.drain_timeout_s
        while self._executor.running and self._clock.monotonic_s() < deadline_s:
            await self._clock.sleep(0.02)
        async with asyncio.timeout(_WRITE_S):
            await self._flusher.drained()
        self._ownership.is_draining = True
        await self._ownership.release_all()

    # What the parts tell each other

    def _answered(self, answer: Answer) -> None:
        self._database_clock.heard(answer.at)

    def _moved_on(self) -> None:
        """Turns came, or slots are free."""
        self._pager.nudge()
        self._executor.fill()
        self._intake.balance()
        self._measure()

    def _claimed(self, owned: list[Owned]) -> None:
        self._pager.claimed(owned)
        self._inbox.poke()

    def _refused(self, turns: list[Turn], lost: list[Owned]) -> None:
        for turn in turns:
            telemetry.TURNS_REFUSED.inc()
            if not turn.owned.is_void:
                log.warning(telemetry.TURN_REFUSED, turn_id=str(turn.turn_id), status=turn.status)
                # Read again, alone: what Postgres has of the session is right.
                self._executor.dropped(turn)
                self._scheduler.left(turn)
                self._scheduler.more(turn.session_id, turn.bucket, turn.owned)
        if lost:
            self._ownership.lost(lost)
        self._pager.nudge()

    def _void(self, owned: Owned) -> None:
        for turn in self._scheduler.void(owned):
            self._executor.stop(turn, Stop.DROP)
        self._executor.forget(owned)
        self._inbox.void(owned)

    def _measure(self) -> None:
        telemetry.RUNNING.set(self._executor.running)
        telemetry.READY_SESSIONS.set(self._scheduler.ready_count)

    # What others see

    def _health(self) -> tuple[bool, dict[str, Any]]:
        late_s = self._loop_watch.late_s
        return late_s < _LOOP_BLOCKED_S, {"loop_late_s": round(late_s, 3)}

    def _ready(self) -> tuple[bool, dict[str, Any]]:
        is_ready = self._ownership.is_settled and not self._stopping.is_set()
        return is_ready, {
            "partitions": sorted(self._owned),
            "running": self._executor.running,
            "draining": self._stopping.is_set(),
        }
