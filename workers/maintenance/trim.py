"""Role trim: deletes from the log of every lane, and of ingest, what was accepted more than TRIM_LAG_S ago.

Until then, a database that is restored from a backup finds in the log the records that it has lost. The role trims a
log up to the newest mark of its positions that is old enough, and makes marks TRIM_LAG_S / 24 apart. A mark belongs to
one log: the role leaves a topic alone that was made again under the same name, however long ago its workers were last
seen.
"""

from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Fence, Held, LogAdmin
from argosy.logs.open import open_admin
from argosy.logs.topic import topic_of_lane
from argosy.store.maintenance import Lane, Maintenance, Mark
from argosy.store.pool import Pool
from argosy.workers.maintenance.role import Ticked

log = structlog.get_logger()

_MARKS_PER_LAG: Final = 24  # a log is kept longer than it must be by a twenty-fourth, an hour of a day
_SAY_AGAIN_S: Final = 3_600.0  # of the same lane: an operator needs time to mend it


class Trim:
    """The role trim; see workers/maintenance/role.py. share_s: how long one tick may take."""

    name = "trim"

    def __init__(self, settings: Settings, dsn: str, pool: Pool, clock: Clock, share_s: float) -> None:
        self._settings = settings
        self._dsn = dsn
        self._pool = pool
        self._clock = clock
        self._share_s = share_s
        self._said_at_s: dict[str, float] = {}
        self._held: dict[str, Held] = {}

    async def tick(self, term: int) -> Ticked:
        until_s = self._clock.monotonic_s() + self._share_s
        store = Maintenance(self._pool, self.name, term)
        lag_s = self._settings.trim_lag_s
        await store.mark_positions(lag_s, lag_s / _MARKS_PER_LAG)
        trimmed, has_more = 0, False
        trouble: list[str] = []
        for lane in await store.lanes():
            topic = topic_of_lane(self._settings, lane.lane)
            if topic.name != lane.topic:
                trouble.append(f"{lane.lane}: its topic {lane.topic} does not match {topic.wording.name_setting}")
                continue
            admin = open_admin(self._settings, self._dsn, topic)
            try:
                mark = await store.mark_before(lane.log_id, lag_s)
                if mark is not None and mark.is_new:
                    has_more |= not await self._trim(store, admin, lane, mark, term, until_s)
                    trimmed += 1
                await self._measure(lane, admin)
            except (LogUnavailableError, SettingError) as error:
                trouble.append(f"{lane.lane}: {error}")
                self._say(lane, error)
            finally:
                await admin.close()
        return Ticked("; ".join([f"{trimmed} lanes trimmed", *trouble]), has_more)

    async def _trim(
        self, store: Maintenance, admin: LogAdmin, lane: Lane, mark: Mark, term: int, until_s: float
    ) -> bool:
        """Trim a log up to a mark. False when the tick's share of time ended first.

        Raises LogUnavailableError, SettingError.
        """
        seen = await admin.identity()
        if seen.log_id != lane.log_id:
            raise LogUnavailableError(f"{lane.topic} is another log now, which no worker has seen yet")
        fence = Fence(self.name, term, seen.topic_id)
        for partition, position in mark.positions.items():
            while position and not await admin.trim(partition, position, fence):
                if self._clock.monotonic_s() > until_s:
                    return False
        await store.note_trimmed(lane.log_id, mark.at)
        return True

    async def _measure(self, lane: Lane, admin: LogAdmin) -> None:
        held = self._held[lane.lane] = await admin.held()
        telemetry.LOG_RECORDS.labels(lane=lane.lane).set(held.records)
        if held.size_bytes is not None:
            telemetry.LOG_SIZE_BYTES.labels(lane=lane.lane).set(held.size_bytes)

    def _say(self, lane: Lane, error: Exception) -> None:
        """Warn, at most once an hour, that a lane's log goes on growing, with the size that was last measured."""
        now_s = self._clock.monotonic_s()
        if now_s - self._said_at_s.get(lane.lane, float("-inf")) >= _SAY_AGAIN_S:
            self._said_at_s[lane.lane] = now_s
            held = self._held.get(lane.lane)
            log.warning(
                telemetry.TRIM_FAILED,
                lane=lane.lane,
                topic=lane.topic,
                error=str(error),
                records=held and held.records,
                size_bytes=held and held.size_bytes,
            )
