"""A topic that forgets what nobody has accepted yet is said before it does."""

import pytest
from structlog.testing import capture_logs

from argosy.clock import SystemClock
from argosy.config import load
from argosy.log import Batch, Record
from argosy.logs.kafka_retention import Retention, warning_of
from argosy.logs.topic import turns_topic


@pytest.mark.parametrize(
    ("age_s", "kept_s", "is_loud"), [(10, 100, False), (49, 100, False), (50, 100, True), (300, 100, True)]
)
def test_it_is_loud_from_half_of_what_is_kept(age_s: float, kept_s: float, is_loud: bool) -> None:
    warning = warning_of(age_s, kept_s, "turns")

    assert bool(warning) is is_loud
    assert not is_loud or f"is {age_s} s old" in warning


def test_it_is_said_once_in_a_while_and_never_of_a_topic_that_keeps_everything() -> None:
    clock, topic = SystemClock(), turns_topic(load({}))
    old = Batch(3, 1, [Record(0, clock.unix_ms() - 60_000, b"", b"", ())], 0, 1, is_fresh=True)
    keeps_all, forgets = Retention(topic, clock), Retention(topic, clock)
    forgets.kept_s = 80.0

    with capture_logs() as events:
        for retention in (keeps_all, forgets):
            retention.look(old)
            retention.look(old)

    [event] = events
    assert event["log_level"] == "error"
    assert "topic turns.default, partition 3: the oldest record that is not accepted is 60 s old" in event["warning"]
