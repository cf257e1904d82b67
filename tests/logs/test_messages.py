"""librdkafka's messages become log events, a few in a while."""

from structlog.testing import capture_logs

from argosy.logs.kafka_config import Messages
from tests.harness.hand_clock import HandClock


def test_a_message_that_repeats_is_printed_once_in_a_while_and_says_how_often_it_was_left_out() -> None:
    clock = HandClock()
    messages = Messages(clock, "producer")

    with capture_logs() as printed:
        for _ in range(50):
            messages.log(40, "%s [%s] %s", "FAIL", "rdkafka#producer-1", "connection refused")
        messages.log(40, "%s [%s] %s", "OTHER", "rdkafka#producer-1", "else")
        clock.now_s += Messages.INTERVAL_S
        messages.log(40, "%s [%s] %s", "FAIL", "rdkafka#producer-1", "connection refused")

    assert [(each["kind"], each["left_out"]) for each in printed] == [("FAIL", 0), ("OTHER", 0), ("FAIL", 49)]


def test_kinds_without_end_do_not_fill_the_memory() -> None:
    messages = Messages(HandClock(), "producer")

    with capture_logs() as printed:
        for number in range(1_000):
            messages.say(f"kind {number}", "text")

    assert len(printed) <= 101
    assert len(messages._kinds) <= 101
