"""The log of what is ingested, as this process appends to it. It is opened at the first upload.

It has a writer of its own, so that what is uploaded never queues before turns. A fleet whose log has no such topic yet
serves everything else.
"""

import asyncio
import uuid
from typing import Final

from argosy import ids
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.gateway.log_monitor import LogMonitor, check_start
from argosy.gateway.problems import RETRY_AFTER_S, Problem
from argosy.ingest.job import LANE, bucket_of_graph
from argosy.log import LogWriter
from argosy.logs.open import open_writer
from argosy.logs.topic import ingest_topic
from argosy.store.lane_log import LaneLogs
from argosy.store.pool import Pool

_NOBODY: Final = uuid.UUID(int=0)


class OpenedLog:
    """The log while it is open."""

    def __init__(self, writer: LogWriter, monitor: LogMonitor) -> None:
        self.writer = writer
        self._monitor = monitor

    @property
    def log_id(self) -> str:
        """Which log it is: as it was seen last, for it may be made anew under its name."""
        return self._monitor.seen.log_id

    def partition_of(self, tenant: str, graph: str) -> int:
        """Return the partition in which all records about a graph lie."""
        return ids.partition_of(bucket_of_graph(tenant, graph), self.writer.partition_count)

    def check(self) -> None:
        """Raise Problem when nothing may be appended now."""
        if self._monitor.reason:
            raise Problem("log_unavailable", self._monitor.reason, retry_after_s=RETRY_AFTER_S)

    async def close(self) -> None:
        await self._monitor.close()
        await self.writer.close()


class IngestLog:
    """Opens the log once, when somebody uploads."""

    def __init__(self, settings: Settings, pool: Pool, clock: Clock) -> None:
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._opening = asyncio.Lock()
        self._opened: OpenedLog | None = None

    async def opened(self) -> OpenedLog:
        """Return the log. Raises Problem (log_unavailable), StoreUnavailableError."""
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
        self._opened.check()
        return self._opened

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _open(self) -> OpenedLog:
        settings, topic = self._settings, ingest_topic(self._settings)
        lane_logs = LaneLogs(self._pool, LANE)
        recorded = await lane_logs.find(_NOBODY, settings.heartbeat_ttl_s)
        try:
            writer = await open_writer(settings, settings.state_db_uri, topic, self._clock)
        except (SettingError, LogUnavailableError) as error:
            raise Problem("log_unavailable", str(error), retry_after_s=RETRY_AFTER_S) from error
        if reason := check_start(writer.identity, recorded, topic.name):
            await writer.close()
            raise Problem("log_unavailable", reason, retry_after_s=RETRY_AFTER_S)
        monitor = LogMonitor(writer, lane_logs, topic.name, settings.heartbeat_ttl_s, self._clock)
        await monitor.open()
        return OpenedLog(writer, monitor)
