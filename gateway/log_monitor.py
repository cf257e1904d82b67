"""Whether the lane's workers still read the log to which this gateway appends. A task of its own looks regularly.

Rules (`refusal`, pure). The gateway appends nothing and answers 503 when
- the topic was made again with another number of partitions: a session's records would go where no worker looks;
- living workers of the lane read another log: turns that this gateway accepts would wait for ever.
A topic that only got more partitions is no reason: a running gateway goes on with the partitions that it knows, as
workers do.
"""

import asyncio
import contextlib
import uuid
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError
from argosy.log import Identity, LogWriter
from argosy.rounds import Rounds
from argosy.store.lane_log import LaneLog, LaneLogs

log = structlog.get_logger()

_LOG_INTERVAL_S: Final = 1.0  # how long turns may go to a topic that was made again
_LANE_INTERVAL_S: Final = 5.0  # workers change their log by being started anew only
_NOBODY: Final = uuid.UUID(int=0)


def refusal(opened: Identity, seen: Identity, recorded: LaneLog | None, topic: str) -> str:
    """Return why nothing may be appended, or "". opened: the identity of the log when this process opened it."""
    if opened.log_id != seen.log_id and opened.partition_count != seen.partition_count:
        return (
            f"the topic {topic} was made again with {seen.partition_count} partitions, it had "
            f"{opened.partition_count}: start this gateway again"
        )
    if recorded is not None and recorded.is_in_use and recorded.is_other(seen, topic):
        return (
            f"the workers of this lane read topic {recorded.topic} of cluster {recorded.identity.cluster_id}, and this "
            f"gateway is set to topic {topic} of cluster {seen.cluster_id}: give it the workers' settings"
        )
    return ""


def check_start(seen: Identity, recorded: LaneLog | None, topic: str) -> str:
    """Return why a gateway must not start on this log, or ""."""
    if recorded is not None and recorded.is_grown(seen):
        return (
            f"the topic {topic} has {seen.partition_count} partitions and had {recorded.identity.partition_count}: "
            "the number is fixed when a topic is made, because a session's records must stay in one partition; make a "
            "new topic (KAFKA_TOPIC_PREFIX, `argosy topics`) and let the old one run empty with its own workers"
        )
    return refusal(seen, seen, recorded, topic)


class LogMonitor:
    """Looks at the log and at the lane's record of it. reason: why nothing may be appended now; empty while it may.
    away: what was said when the log did not answer at the last look; empty: it did.
    """

    def __init__(self, writer: LogWriter, lane_logs: LaneLogs, topic: str, ttl_s: float, clock: Clock) -> None:
        self._writer = writer
        self._lane_logs = lane_logs
        self._topic = topic
        self._ttl_s = ttl_s
        self._clock = clock
        self._seen: Identity | None = None
        self._recorded: LaneLog | None = None
        self._recorded_at_s = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.reason = ""
        self.away = ""

    @property
    def seen(self) -> Identity:
        """The log that had this name when it was looked at last."""
        return self._seen or self._writer.identity

    async def open(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="log-watch")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        rounds = Rounds("log watch", self._clock)
        while True:
            async with rounds:
                await self.look()
            await self._clock.sleep(_LOG_INTERVAL_S)

    async def look(self) -> None:
        """Look at the log, and every 5 s at what the lane's workers read, and set `reason`.

        What cannot be asked now counts as unchanged; appends to a topic that is not there fail by themselves.
        """
        opened = self._writer.identity
        try:
            self._seen = await self._writer.look()
            self.away = ""
        except ArgosyError as error:
            self.away = str(error)
        if self._clock.monotonic_s() - self._recorded_at_s >= _LANE_INTERVAL_S:
            with contextlib.suppress(ArgosyError):
                self._recorded = await self._lane_logs.find(_NOBODY, self._ttl_s)
                self._recorded_at_s = self._clock.monotonic_s()
        reason = refusal(opened, self.seen, self._recorded, self._topic)
        if reason and reason != self.reason:
            log.error(telemetry.LOG_REPLACED, topic=self._topic, consequence=f"nothing is accepted: {reason}")
        self.reason = reason
