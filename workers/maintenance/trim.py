"""Role trim: deletes from the log what was accepted more than TRIM_LAG_S ago.

Until then a database that is restored from a backup finds in the log what it has lost. The log is trimmed up to the
newest mark of its positions that is old enough; marks are made TRIM_LAG_S / 24 apart.
"""

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError
from argosy.log import Held, LogAdmin
from argosy.logs.open import open_admin
from argosy.store.maintenance import Lane, Maintenance, Mark
from argosy.store.pool import Pool

log = structlog.get_logger()

_MARKS_PER_LAG = 24
_SAY_AGAIN_S = 3_600.0


class Trim:
    """See workers/maintenance/role.py."""

    name = "trim"

    def __init__(self, settings: Settings, dsn: str, pool: Pool, clock: Clock) -> None:
        self._settings = settings
        self._dsn = dsn
        self._pool = pool
        self._clock = clock
        self._said_at_s = float("-inf")
        self._held: dict[str, Held] = {}

    async def tick(self, term: int) -> str:
        store = Maintenance(self._pool, self.name, term)
        lag_s = self._settings.trim_lag_s
        await store.mark_positions(lag_s / _MARKS_PER_LAG)
        trimmed = 0
        for lane in await store.lanes():
            mark = await store.mark_before(lane.log_id, lag_s)
            if mark is not None:
                await self._trim(store, lane, mark)
                trimmed += 1
        return f"{trimmed} lanes trimmed"

    async def _trim(self, store: Maintenance, lane: Lane, mark: Mark) -> None:
        settings = self._settings.model_copy(update={"lane": lane.lane})
        admin = open_admin(settings, self._dsn)
        try:
            if settings.topic != lane.topic:
                return  # it is another deployment's
            for partition, position in mark.positions.items():
                await admin.trim(partition, position)
            await store.note_trimmed(lane.log_id, mark.at)
            await self._measure(lane, admin)
        except LogUnavailableError as error:
            self._say(lane, error)
        finally:
            await admin.close()

    async def _measure(self, lane: Lane, admin: LogAdmin) -> None:
        held = self._held[lane.lane] = await admin.held()
        telemetry.LOG_RECORDS.labels(lane=lane.lane).set(held.records)
        if held.size_bytes is not None:
            telemetry.LOG_SIZE_BYTES.labels(lane=lane.lane).set(held.size_bytes)

    def _say(self, lane: Lane, error: LogUnavailableError) -> None:
        """It goes on growing: said with what it held when it was last seen."""
        now_s = self._clock.monotonic_s()
        if now_s - self._said_at_s >= _SAY_AGAIN_S:
            self._said_at_s = now_s
            held = self._held.get(lane.lane)
            log.warning(
                telemetry.TRIM_FAILED,
                lane=lane.lane,
                topic=lane.topic,
                error=str(error),
                records=held and held.records,
                size_bytes=held and held.size_bytes,
            )
