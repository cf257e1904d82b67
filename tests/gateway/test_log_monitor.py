"""When a gateway appends nothing, although the log would take it."""

import pytest

from argosy.gateway.log_monitor import check_start, refusal
from argosy.log import Identity
from argosy.store.lane_log import LaneLog

OPENED = Identity("cluster", "topic-1", 8)
GROWN = Identity("cluster", "topic-1", 12)
AGAIN = Identity("cluster", "topic-2", 8)
AGAIN_WITH_FEWER = Identity("cluster", "topic-2", 4)
ELSEWHERE = Identity("another cluster", "topic-9", 8)


@pytest.mark.parametrize(
    ("seen", "recorded", "words"),
    [
        (OPENED, None, ""),
        (OPENED, LaneLog(OPENED, "turns", True), ""),
        (GROWN, LaneLog(OPENED, "turns", True), ""),  # it goes on with the partitions that it knows, as the workers do
        (AGAIN, LaneLog(OPENED, "turns", True), ""),  # the workers see it, too, and read it from its start
        (AGAIN_WITH_FEWER, LaneLog(OPENED, "turns", True), "made again with 4 partitions, it had 8"),
        (AGAIN_WITH_FEWER, None, "made again with 4 partitions, it had 8"),
        (OPENED, LaneLog(ELSEWHERE, "turns", True), "read topic turns of cluster another cluster"),
        (OPENED, LaneLog(OPENED, "others", True), "read topic others of cluster cluster"),
        (OPENED, LaneLog(ELSEWHERE, "turns", False), ""),  # nobody lives there: who comes next decides
    ],
)
def test_a_running_gateway_refuses_what_nobody_would_read(seen: Identity, recorded: LaneLog | None, words: str) -> None:
    reason = refusal(OPENED, seen, recorded, "turns")

    assert words in reason
    assert bool(words) == bool(reason)


@pytest.mark.parametrize("is_in_use", [True, False])
def test_a_gateway_does_not_start_on_a_topic_that_was_grown(is_in_use: bool) -> None:
    reason = check_start(GROWN, LaneLog(OPENED, "turns", is_in_use), "turns")

    assert "has 12 partitions and had 8" in reason
    assert check_start(AGAIN_WITH_FEWER, LaneLog(OPENED, "turns", is_in_use), "turns") == ""


def test_a_gateway_does_not_start_beside_a_fleet_on_another_log() -> None:
    assert "give it the workers' settings" in check_start(OPENED, LaneLog(ELSEWHERE, "turns", True), "turns")
