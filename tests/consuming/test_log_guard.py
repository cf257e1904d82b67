"""Which log is it: decisions of a worker about the log that it finds."""

import uuid
from typing import Any

import pytest

from argosy.clock import SystemClock
from argosy.config import load
from argosy.consuming.log_guard import LogGuard, Verdict, judge, judge_start, words_of_missing
from argosy.errors import SettingError, StoreUnavailableError
from argosy.log import Identity, Span
from argosy.logs.topic import Topic, turns_topic
from argosy.store.lane_log import LaneLog
from argosy.store.worker import Told

KNOWN = Identity("cluster", "topic-1", 8)
AGAIN = Identity("cluster", "topic-2", 8)
GROWN = Identity("cluster", "topic-1", 12)
OTHER = Identity("another cluster", "topic-9", 8)


def topic_named(name: str) -> Topic:
    return turns_topic(load({}))._replace(name=name)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (KNOWN, Verdict.SAME),
        (AGAIN, Verdict.REPLACED),
        (OTHER, Verdict.REPLACED),
        (GROWN, Verdict.GROWN),
        (Identity("cluster", "topic-2", 12), Verdict.REPLACED),
    ],
)
def test_a_log_is_the_same_by_its_ids_and_its_partitions(seen: Identity, expected: Verdict) -> None:
    assert judge(KNOWN, seen) is expected


@pytest.mark.parametrize(
    ("recorded", "seen", "topic", "expected"),
    [
        (None, KNOWN, "turns", Verdict.SAME),
        (LaneLog(KNOWN, "turns", True), KNOWN, "turns", Verdict.SAME),
        (LaneLog(KNOWN, "turns", True), AGAIN, "turns", Verdict.REPLACED),  # made again under a fleet that runs
        (LaneLog(KNOWN, "turns", False), OTHER, "turns", Verdict.REPLACED),  # a new cluster, and nobody on the old one
        (LaneLog(KNOWN, "turns", False), AGAIN, "others", Verdict.REPLACED),
    ],
)
def test_a_worker_that_starts_takes_over_a_log_that_was_made_again_or_that_nobody_uses(
    recorded: LaneLog | None, seen: Identity, topic: str, expected: Verdict
) -> None:
    assert judge_start(recorded, seen, topic_named(topic)) is expected


@pytest.mark.parametrize(
    ("seen", "topic", "words"),
    [
        (OTHER, "turns", "two fleets cannot share a database"),
        (AGAIN, "others", "two fleets cannot share a database"),
        (GROWN, "turns", "has 12 partitions and had 8"),
    ],
)
def test_a_second_fleet_on_one_database_and_a_topic_that_was_grown_are_refused(
    seen: Identity, topic: str, words: str
) -> None:
    with pytest.raises(SettingError, match=words):
        judge_start(LaneLog(KNOWN, "turns", True), seen, topic_named(topic))


@pytest.mark.parametrize(
    ("position", "span", "words"),
    [
        (10, Span(25, 40), "15 records of partition 3 were deleted before they were accepted (10 to 24)"),
        (10, Span(0, 4), "partition 3 ends at 4 and was accepted up to 10"),
    ],
)
def test_what_the_log_lacks_is_said_with_how_many_records_are_gone(position: int, span: Span, words: str) -> None:
    assert words in words_of_missing(3, position, span)


class OneLog:
    """A reader of a log that stays the same, unless a test sets another one."""

    seen = KNOWN

    async def identity(self) -> Identity:
        return self.seen


class Recorded:
    """What Postgres has for the lane. asked: how often it was looked up."""

    def __init__(self) -> None:
        self.found: LaneLog | None = LaneLog(KNOWN, "turns", True)
        self.asked = 0
        self.is_away = False
        self.notes: list[tuple[Identity, str | None]] = []

    async def set(self, seen: Identity, topic: str, words: str | None) -> None:
        if self.is_away:
            raise StoreUnavailableError("Postgres is away")
        self.notes.append((seen, words))

    async def find(self, me: uuid.UUID, ttl_s: float) -> LaneLog | None:
        self.asked += 1
        return self.found


class LateClock(SystemClock):
    """Every look comes so late that it is due."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        self.now_s += 10.0
        return self.now_s


def guard_of(reader: Any, lane_logs: Any) -> LogGuard:
    """Of a worker whose topic is `turns`."""
    return LogGuard(reader, lane_logs, LateClock(), worker_id=uuid.uuid4(), topic=topic_named("turns"), ttl_s=10.0)


async def test_the_lanes_log_is_looked_up_only_when_a_beat_was_answered_with_another_one() -> None:
    recorded = Recorded()
    guard = guard_of(OneLog(), recorded)
    await guard.begin(KNOWN)
    recorded.asked = 0

    for told in (Told(1, None, None), Told(1, "cluster", "turns")):
        guard.heard(told)
        assert await guard.look() is None
    assert recorded.asked == 0

    recorded.found = LaneLog(OTHER, "others", True)  # of a fleet that was started at the same moment
    guard.heard(Told(1, "another cluster", "others"))
    with pytest.raises(SettingError, match="two fleets cannot share a database"):
        await guard.look()


async def test_a_log_that_was_replaced_while_postgres_was_away_is_found_by_the_next_look() -> None:
    reader, recorded = OneLog(), Recorded()
    guard = guard_of(reader, recorded)
    await guard.begin(KNOWN)
    reader.seen = Identity(KNOWN.cluster_id, "made again", KNOWN.partition_count)
    recorded.is_away = True

    with pytest.raises(StoreUnavailableError):
        await guard.look()
    recorded.is_away = False
    found = await guard.look()

    assert found == reader.seen
    assert [seen for seen, words in recorded.notes if words] == [reader.seen]
    assert await guard.look() is None
