"""A process in the list of workers: its row, which says what it is, and its signs of life.

A dispatch worker has the row from here and shows that it lives in a way of its own: its turns go to others within
moments of its death, and code of users runs on its loop (workers/dispatch/signs_of_life.py).
"""

import asyncio
import os
import socket
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, Protocol

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
from argosy.store.worker import Beat, Told, Workers

log = structlog.get_logger()

_RETRY_S: Final = 2.0  # Postgres is asked every other second
_FAREWELL_S: Final = 2.0  # without a farewell others take the process for living until HEARTBEAT_TTL_S at the most


class ProcessRow:
    """The row of this process. lane: what it belongs to. address: of its gRPC server; empty: it has none."""

    def __init__(
        self, settings: Settings, pool: Pool, worker_id: uuid.UUID, kind: ProcessKind, lane: str, address: str = ""
    ) -> None:
        self._build = settings.argosy_build or version("argosy")
        self._workers = Workers(pool)
        self.worker_id = worker_id
        self.kind = kind
        self._lane = lane
        self._address = address

    async def register(
        self, metrics_port: int, *, slots: int = 0, workflows: Sequence[tuple[str, str, str]] = ()
    ) -> int:
        """Insert the row, and return the process's number. Raises StoreUnavailableError."""
        return await self._workers.register(
            self.worker_id,
            kind=self.kind,
            lane=self._lane,
            build=self._build,
            host=socket.gethostname(),
            pid=os.getpid(),
            address=self._address,
            metrics_port=metrics_port,
            slots=slots,
            workflows=workflows,
        )

    async def register_again(self, metrics_port: int) -> int:
        """Insert the row in place of an earlier one of this process. Raises StoreUnavailableError."""
        await self._workers.remove(self.worker_id)
        return await self.register(metrics_port)

    async def remove(self) -> None:
        """Delete the row: the process ends in an orderly way. When Postgres is away, others see by the process's
        silence that it is gone.
        """
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._workers.remove(self.worker_id)
        except (TimeoutError, StoreUnavailableError) as error:
            log.warning(telemetry.STORE_UNAVAILABLE, error=f"the process's row is left behind: {error or 'no answer'}")


class Living(Protocol):
    """The process of which these are the signs of life."""

    def beat(self) -> Beat:
        """Return what the next heartbeat says."""

    def after_heartbeat(self, told: Told) -> None:
        """Take in what Postgres answered to a heartbeat."""


class Idle:
    """A process that has neither turns nor partitions, and reads no log. See Living."""

    def beat(self) -> Beat:
        return Beat(in_flight=0, is_draining=False, owned=[], ready_sessions=0, lag=0)

    def after_heartbeat(self, told: Told) -> None:
        """Do nothing."""


class ProcessLife:
    """Heartbeats of a process whose work others need not take over at once: `run` until cancelled, then `end`."""

    def __init__(self, row: ProcessRow, dsn: str, clock: Clock, living: Living, *, ttl_s: float) -> None:
        self._row = row
        self._dsn = dsn
        self._clock = clock
        self._living = living
        self._ttl_s = ttl_s

    async def run(self, metrics_port: int) -> None:
        """Register, then send heartbeats and hold the worker's lock, over a connection of its own.

        Begins again when the connection is lost.
        """
        rounds = Rounds(f"{self._row.kind} life", self._clock)
        while True:
            connection = None
            try:
                number = await self._row.register_again(metrics_port)
                connection = await connect(self._dsn, application=f"argosy life {self._row.worker_id}")
                has_lock = False
                while (told := await worker.beat(connection, self._row.worker_id, self._living.beat())) is not None:
                    self._living.after_heartbeat(told)
                    has_lock = has_lock or await worker.take_lock(connection, number)
                    await self._clock.sleep(self._ttl_s / BEATS_PER_TTL)
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
        await self._row.remove()
