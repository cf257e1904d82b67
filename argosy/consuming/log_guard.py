"""Check that the log is still the one that a worker's positions belong to.

A worker looks at the log when it starts and in every round of its loop. The answer to each heartbeat says which log
Postgres has for the lane; when that is another one, the worker looks it up.

Rules (`judge_start`, `judge`, pure):
- Another cluster or another topic, while other workers of the lane live on the recorded one: two fleets share a
  database by mistake. The worker refuses to start.
- The same topic with another id was made again; another log was chosen when no other worker lives on the recorded one.
  The worker reads it from its earliest record (ids make that safe), and reports loudly that records which were only in
  the old log are lost.
- A log that does not hold one of our positions any more has lost records (`words_of_missing`): reported in the same
  places.
- Two fleets that start at the same time each see no worker on the other's log. The one that recorded its log first
  finds the other's log there later, and ends.
- The number of partitions of a topic is fixed, because a record's partition follows from its bucket and that number. A
  worker refuses to start on a topic that was grown; one that runs goes on with the partitions it knows, and reports it.
"""

import uuid
from enum import Enum

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import LogUnavailableError, SettingError
from argosy.log import Identity, LogReader, Span
from argosy.logs.topic import Topic
from argosy.store.lane_log import LaneLog, LaneLogs
from argosy.store.worker import Told

log = structlog.get_logger()

_REPLACED = (
    "what had been accepted from it is in Postgres; records that were only in it are gone with it: senders that were "
    "answered 202 shortly before must send again, with the same key"
)
_SAY_AGAIN_S = 60.0  # each round sees it: once a minute is enough
_LOOK_INTERVAL_S = 0.8  # rounds come once a second, but more often while partitions change hands


class Verdict(Enum):
    SAME = "same"
    REPLACED = "replaced"
    GROWN = "grown"


def judge(known: Identity, seen: Identity) -> Verdict:
    """Compare the log that is there now (seen) with the one that our positions belong to (known)."""
    if known.log_id != seen.log_id:
        return Verdict.REPLACED
    return Verdict.SAME if known.partition_count == seen.partition_count else Verdict.GROWN


def judge_start(recorded: LaneLog | None, seen: Identity, topic: Topic) -> Verdict:
    """Compare the log that is there now with the one that Postgres has for the lane.

    Raises SettingError when the worker must not run on it.
    """
    if recorded is None:
        return Verdict.SAME
    verdict = judge(recorded.identity, seen)
    if verdict is Verdict.GROWN:
        had = recorded.identity.partition_count
        raise SettingError(
            f"the topic {topic.name} has {seen.partition_count} partitions and had {had}: {_on_growth(topic)}"
        )
    if verdict is Verdict.REPLACED and recorded.is_in_use and recorded.is_other(seen, topic.name):
        raise SettingError(
            f"workers of this lane live on topic {recorded.topic} of cluster {recorded.identity.cluster_id}, and this "
            f"one is set to topic {topic.name} of cluster {seen.cluster_id}: two fleets cannot share a database; give "
            "one of them its own STATE_DB_URI or LANE, or stop the others first"
        )
    return verdict


def _on_growth(topic: Topic) -> str:
    """Return what an operator does about a topic that was grown."""
    return (
        "the number is fixed when a topic is made, because records that belong together must stay in one partition: "
        f"make a new topic ({topic.wording.name_setting}, `argosy topics`) and let the old one run empty with its own "
        "workers"
    )


def words_of_missing(partition: int, position: int, span: Span) -> str:
    """Say in words what it means that the log does not hold the position up to which a partition was accepted."""
    if position < span.begin:
        return (
            f"{span.begin - position} records of partition {partition} were deleted before they were accepted "
            f"({position} to {span.begin - 1}); {_REPLACED}"
        )
    return (
        f"partition {partition} ends at {span.end} and was accepted up to {position}: the log lost its end, or is "
        f"another one; {_REPLACED}"
    )


class LogGuard:
    """One worker's check of its log."""

    def __init__(
        self, reader: LogReader, lane_logs: LaneLogs, clock: Clock, *, worker_id: uuid.UUID, topic: Topic, ttl_s: float
    ) -> None:
        self._reader = reader
        self._lane_logs = lane_logs
        self._clock = clock
        self._worker_id = worker_id
        self._topic = topic
        self._ttl_s = ttl_s
        self._identity = Identity("", "", 0)
        self._looked_at_s = self._said_at_s = float("-inf")
        self._is_other_recorded = False

    async def begin(self, identity: Identity) -> None:
        """Check the log at the start of the worker, and record it for the lane when it is new.

        Raises SettingError for a log that must not be used, and StoreUnavailableError.
        """
        recorded = await self._lane_logs.find(self._worker_id, self._ttl_s)
        self._identity = identity
        if recorded is None or judge_start(recorded, identity, self._topic) is Verdict.REPLACED:
            await self._set(recorded.identity if recorded else None, identity)

    def heard(self, told: Told) -> None:
        """Take in which log Postgres has for the lane, from the answer to a heartbeat."""
        recorded = (told.cluster_id, told.topic)
        self._is_other_recorded = recorded not in ((None, None), (self._identity.cluster_id, self._topic.name))

    async def look(self) -> Identity | None:
        """Return the log that has replaced the one before, or None when it is still the same.

        Raises UnavailableError; SettingError when the topic was made again with another number of partitions (a worker
        that is started again accepts it), and when other workers of the lane live on another log.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_at_s < _LOOK_INTERVAL_S:
            return None
        self._looked_at_s = now_s
        if self._is_other_recorded:
            recorded = await self._lane_logs.find(self._worker_id, self._ttl_s)
            if recorded is not None and recorded.is_other(self._identity, self._topic.name):
                judge_start(recorded, self._identity, self._topic)
        try:
            seen = await self._reader.identity()
        except SettingError as error:  # there is no such topic: an operator deleted it, and may make it again
            raise LogUnavailableError(str(error)) from error
        verdict = judge(self._identity, seen)
        if verdict is Verdict.SAME:
            return None
        if verdict is Verdict.GROWN:
            self._say_grown(seen)
            return None
        known = self._identity
        await self._set(known, seen)
        self._identity = seen  # only now: a look that could not record it is to find it again
        if known.partition_count != seen.partition_count:
            raise SettingError(
                f"the topic {self._topic.name} was made again with {seen.partition_count} partitions, it had "
                f"{known.partition_count}: start again"
            )
        return seen

    async def lacks(self, partition: int, position: int, span: Span) -> None:
        """Report, in the log and in Postgres, that the log does not hold our position. Raises StoreUnavailableError."""
        words = words_of_missing(partition, position, span)
        telemetry.LOGS_REPLACED.inc()
        log.error(
            telemetry.LOG_REPLACED,
            partition=partition,
            position=position,
            log_begins_at=span.begin,
            log_ends_at=span.end,
            consequence=words,
        )
        await self._lane_logs.note_missing(words)

    async def _set(self, known: Identity | None, seen: Identity) -> None:
        words = None if known is None else f"the log {known.log_id} was replaced by {seen.log_id}; {_REPLACED}"
        await self._lane_logs.set(seen, self._topic.name, words)
        if words is not None:
            telemetry.LOGS_REPLACED.inc()
            log.error(telemetry.LOG_REPLACED, topic=self._topic.name, consequence=words)

    def _say_grown(self, seen: Identity) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._said_at_s >= _SAY_AGAIN_S:
            self._said_at_s = now_s
            log.error(
                telemetry.TOPIC_GROWN,
                topic=self._topic.name,
                partitions=seen.partition_count,
                used=self._identity.partition_count,
                what_to_do=_on_growth(self._topic),
            )
