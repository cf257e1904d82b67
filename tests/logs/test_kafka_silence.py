"""When a member that hears nothing of its group has to take itself for put out of it."""

import json

import pytest

from argosy.logs.kafka_silence import Silence, is_out
from tests.harness.hand_clock import AheadClock


@pytest.mark.parametrize(
    ("silent_s", "session_timeout_s", "expected"),
    [
        (0.0, 2.0, False),
        (1.2, 2.0, False),
        (1.3, 2.0, True),
        (5.2, 6.0, False),
        (5.3, 6.0, True),
        (0.4, 1.0, False),
        (0.6, 1.0, True),
        (44.0, None, False),
        (44.5, None, True),
    ],
)
def test_what_was_given_is_given_up_before_the_session_is_over(
    silent_s: float, session_timeout_s: float | None, expected: bool
) -> None:
    assert is_out(silent_s, session_timeout_s) is expected


def said(rxidle_us: int) -> str:
    return json.dumps({"name": "consumer", "brokers": {"GroupCoordinator": {"name": "c", "rxidle": rxidle_us}}})


def test_silence_is_counted_from_when_the_coordinator_was_heard() -> None:
    clock = AheadClock()
    silence = Silence(clock)

    silence.on_statistics(said(500_000))
    clock.ahead_s = 3.0

    assert silence.silent_s == pytest.approx(3.5, abs=0.5)


@pytest.mark.parametrize("text", [said(-1), '{"brokers": {}}', "{}"])
def test_who_was_never_heard_is_not_silent(text: str) -> None:
    silence = Silence(AheadClock())

    silence.on_statistics(text)

    assert silence.silent_s == 0.0


def test_nothing_is_known_of_another_consumer() -> None:
    silence = Silence(AheadClock())
    silence.on_statistics(said(9_000_000))

    silence.begin()

    assert silence.silent_s == 0.0
