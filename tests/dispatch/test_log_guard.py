"""Which log is it: decisions of a worker about the log that it finds."""

import pytest

from argosy.errors import SettingError
from argosy.log import Identity, Span
from argosy.store.lane_log import LaneLog
from workers.dispatch.ownership.log_guard import Verdict, judge, judge_start, words_of_missing

KNOWN = Identity("cluster", "topic-1", 8)
AGAIN = Identity("cluster", "topic-2", 8)
GROWN = Identity("cluster", "topic-1", 12)
OTHER = Identity("another cluster", "topic-9", 8)


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
    assert judge_start(recorded, seen, topic) is expected


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
        judge_start(LaneLog(KNOWN, "turns", True), seen, topic)


@pytest.mark.parametrize(
    ("position", "span", "words"),
    [
        (10, Span(25, 40), "15 records of partition 3 were deleted before they were accepted (10 to 24)"),
        (10, Span(0, 4), "partition 3 ends at 4 and was accepted up to 10"),
    ],
)
def test_what_the_log_lacks_is_said_with_how_many_records_are_gone(position: int, span: Span, words: str) -> None:
    assert words in words_of_missing(3, position, span)
