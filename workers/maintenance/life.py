"""This process in the list of workers: a row that says what it is, and its signs of life."""

import asyncio
import os
import socket
import uuid
from importlib.metadata import version
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import StoreUnavailableError
from argosy.life import BEATS_PER_TTL, ProcessKind
from argosy.rounds import Rounds
from argosy.store import worker
from argosy.store.fault import Fault
from argosy.store.pool import Pool, connect
from argosy.store.worker import Beat, Workers

log = structlog.get_logger()

_EVERY_LANE: Final = "*"  # no lane has this name
_NOTHING: Final = Beat(in_flight=0, is_draining=False, owned=[], ready_sessions=0, lag=0)
_RETRY_S: Final = 2.0  # Postgres is asked every other second, and at the end no longer


class Life:
    """The maintenance process's row and heartbeats: `run` until cancelled, then `end`."""

    def __init__(self, settings: Settings, dsn: str, pool: Pool, clock: Clock, worker_id: uuid.UUID) -> None:
        self._settings = settings
        self._dsn = dsn
        self._workers = Workers(pool)
        self._clock = clock
        self._worker_id = worker_id

    async def run(self, metrics_port: int) -> None:
        """Register, then send heartbeats and hold the worker's lock, over a connection of its own.

        Begins again when the connection is lost.
        """
        rounds = Rounds("maintenance life", self._clock)
        while True:
            connection = None
            try:
                number = await self._register(metrics_port)
                connection = await connect(self._dsn, application=f"argosy life {self._worker_id}")
                has_lock = False
                while await worker.beat(connection, self._worker_id, _NOTHING) is not None:
                    has_lock = has_lock or await worker.take_lock(connection, number)
                    await self._clock.sleep(self._settings.heartbeat_ttl_s / BEATS_PER_TTL)
            except Exception as error:
                log.warning(telemetry.HEARTBEAT_FAILED, error=f"{type(error).__name__}: {error}")
                if rounds.say(error) is Fault.END:
                    raise
                await self._clock.sleep(_RETRY_S)
            finally:
                if connection is not None:
                    connection.terminate()

    async def end(self) -> None:
        """Remove the process's row: it ends in an orderly way."""
        try:
            async with asyncio.timeout(_RETRY_S):
                await self._workers.remove(self._worker_id)
        except (TimeoutError, StoreUnavailableError):
            return  # the row is removed later, when the process has not been heard of for long

    async def _register(self, metrics_port: int) -> int:
        await self._workers.remove(self._worker_id)
        return await self._workers.register(
            self._worker_id,
            kind=ProcessKind.MAINTENANCE,
            lane=_EVERY_LANE,
            build=self._settings.argosy_build or version("argosy"),
            host=socket.gethostname(),
            pid=os.getpid(),
            address="",
            metrics_port=metrics_port,
            slots=0,
            workflows=(),
        )
