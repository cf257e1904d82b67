"""A shard that is served: its parts from their start to their end. Nothing is decided here."""

import asyncio
import contextlib
import os
import uuid
from typing import Final

import structlog

from argosy import telemetry
from argosy.address import http_url
from argosy.clock import Clock
from argosy.config import Settings
from argosy.process.ops_server import LOOP_BLOCKED_S, Answer, OpsServer
from argosy.secret import load_keys
from argosy.shards.measured import MEASURE_S, keep_measured
from argosy.shards.server import ShardServer
from argosy.shards.shard import Shard

log = structlog.get_logger()

_CALLS_END_S: Final = 1.0  # for calls under way, once what they wrote is committed


class ServedShard:
    """One shard process. Made on the event loop; `run` returns after `stop` and a drain."""

    def __init__(self, settings: Settings, shard: Shard, member_id: uuid.UUID, clock: Clock) -> None:
        self._settings = settings
        self._shard = shard
        self._member_id = member_id
        self._clock = clock
        keys = load_keys(
            settings.graph_service_auth_secret, settings.argosy_data_dir, settings.graph_service_auth_secret_previous
        )
        previous = keys.previous and keys.previous.shards
        self._server = ShardServer(shard, member_id, keys.shards, clock, settings, previous)
        self._stopping = asyncio.Event()
        self._measured_s = clock.monotonic_s()
        self._is_serving = False

    def stop(self) -> None:
        """Make `run` drain and return. A second call ends the process at once, with exit code 1: nothing that was
        acknowledged is lost.
        """
        if self._stopping.is_set():
            os._exit(1)
        self._stopping.set()

    async def run(self) -> None:
        settings = self._settings
        ops = OpsServer(settings.metrics_host, settings.metrics_port, self)
        ops.start()
        await self._server.start()
        self._is_serving = True
        log.info(
            telemetry.SHARD_STARTED,
            member_id=str(self._member_id),
            pid=os.getpid(),
            grpc=self._server.address,
            metrics=http_url(settings.metrics_host, ops.port, "/metrics"),
        )
        measuring = asyncio.create_task(keep_measured(self._shard, self._clock, self._note_life))
        try:
            await self._stopping.wait()
            log.info(telemetry.SHARD_DRAINING)
        finally:
            self._is_serving = False
            async with contextlib.AsyncExitStack() as ending:  # the last callback runs first
                ending.callback(log.info, telemetry.SHARD_STOPPED, member_id=str(self._member_id))
                ending.callback(ops.stop)
                ending.callback(measuring.cancel)
                ending.push_async_callback(self._shard.end)
                ending.push_async_callback(self._server.stop, _CALLS_END_S)
                ending.push_async_callback(self._shard.drain, settings.shard_stop_s)
                await self._server.leave()

    def _note_life(self) -> None:
        self._measured_s = self._clock.monotonic_s()

    # What others see

    def health(self) -> Answer:
        """See Probes. Called from another thread."""
        late_s = max(0.0, self._clock.monotonic_s() - self._measured_s - MEASURE_S)
        return late_s < LOOP_BLOCKED_S, {"loop_late_s": round(late_s, 3)}

    def ready(self) -> Answer:
        """See Probes."""
        return self._is_serving, {
            "member_id": str(self._member_id),
            "grpc": self._server.address,
            "draining": self._stopping.is_set(),
            "enforces_lists": self._shard.lists.is_on,
            "lists_disagree": self._shard.lists.fault,
        }
