"""I live: said from a thread with a loop and a connection of its own, so that user code that blocks the event loop does
not make a working process look dead (and a thread that lives does not make a stuck loop look well: see loop lag).
"""

import asyncio
import threading
import uuid
from collections.abc import Callable

import structlog

from argosy import telemetry
from argosy.errors import StoreUnavailableError
from argosy.store import worker
from argosy.store.pool import connect

log = structlog.get_logger()

_JOIN_S = 5.0


class Heartbeat:
    """From `start` to `stop`; in_flight and is_draining are read from the thread."""

    def __init__(
        self,
        dsn: str,
        worker_id: uuid.UUID,
        interval_s: float,
        *,
        in_flight: Callable[[], int],
        is_draining: Callable[[], bool],
    ) -> None:
        self._dsn = dsn
        self._worker_id = worker_id
        self._interval_s = interval_s
        self._in_flight = in_flight
        self._is_draining = is_draining
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(_JOIN_S)

    async def _run(self) -> None:
        connection = None
        while not self._stopped.is_set():
            try:
                if connection is None or connection.is_closed():
                    connection = await connect(self._dsn)
                await worker.beat(
                    connection, self._worker_id, in_flight=self._in_flight(), is_draining=self._is_draining()
                )
            except StoreUnavailableError as error:
                log.warning(telemetry.HEARTBEAT_FAILED, error=str(error))
                connection = None
            # A thread of its own: waiting here blocks nobody.
            await asyncio.to_thread(self._stopped.wait, self._interval_s)
        if connection is not None:
            await connection.close()
