"""What a consumer's statistics say of when its group's coordinator was heard from."""

import json

import pytest

from argosy.logs.kafka_silence import Silence
from argosy.logs.word import Word
from tests.harness.hand_clock import HandClock


def said(rxidle_us: int) -> str:
    return json.dumps({"name": "consumer", "brokers": {"GroupCoordinator": {"name": "c", "rxidle": rxidle_us}}})


def test_silence_is_counted_from_when_the_coordinator_was_heard() -> None:
    clock = HandClock()
    word = Word(clock)

    Silence(clock, word).on_statistics(said(500_000))
    clock.now_s += 3.0

    assert word.silent_s == 3.5


@pytest.mark.parametrize("text", [said(-1), '{"brokers": {}}', "{}"])
def test_who_was_never_heard_is_not_silent(text: str) -> None:
    clock = HandClock()
    word = Word(clock)

    Silence(clock, word).on_statistics(text)
    clock.now_s += 100.0

    assert not word.has_come
    assert not word.is_out
