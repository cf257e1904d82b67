"""When a member that hears nothing of its log has to take itself for put out of the group, and may claim again."""

import json

import pytest

from argosy import config
from argosy.errors import SettingError
from argosy.logs.kafka_reader import _SETTLES_S
from argosy.logs.kafka_silence import STATISTICS_INTERVAL_S, Silence
from argosy.logs.postgres_member import ROUND_S
from argosy.logs.postgres_reader import _AHEAD_S
from argosy.logs.word import Word, is_out
from tests.harness.hand_clock import HandClock

STOPPED_S = 20.0
POLLED_LATE_S = 0.1


def group_settings(session_timeout_ms: int, heartbeat_ms: int) -> config.Settings:
    return config.load(
        {
            "KAFKA_GROUP_SESSION_TIMEOUT_MS": str(session_timeout_ms),
            "KAFKA_GROUP_HEARTBEAT_MS": str(heartbeat_ms),
        }
    )


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


def test_what_was_said_before_a_stop_is_old_after_it_until_the_log_speaks_again() -> None:
    clock = HandClock()
    word = Word(clock, 6.0)
    word.renew(clock.now_s)
    assert not word.is_old

    clock.now_s += STOPPED_S
    assert word.is_old

    word.renew(clock.now_s)
    assert not word.is_old


def test_an_answer_that_came_after_a_stop_and_was_asked_for_before_it_is_old() -> None:
    clock = HandClock()
    word = Word(clock, 6.0)
    asked_at_s = clock.now_s

    clock.now_s += STOPPED_S
    word.renew(asked_at_s)

    assert word.is_old


def test_a_group_that_tells_what_it_took_away_a_moment_later_is_given_that_moment() -> None:
    clock = HandClock()
    word = Word(clock, 6.0, settles_s=1.0)
    word.renew(clock.now_s)
    assert not word.is_old, "it was never silent"

    clock.now_s += STOPPED_S
    word.renew(clock.now_s)
    clock.now_s += 0.9
    word.renew(clock.now_s)
    assert word.is_old

    clock.now_s += 0.2
    assert not word.is_old


def test_nothing_is_known_of_another_member() -> None:
    clock = HandClock()
    word = Word(clock, 6.0, settles_s=1.0)
    word.renew(clock.now_s)
    clock.now_s += STOPPED_S
    word.renew(clock.now_s)

    word.forget()

    assert (word.has_come, word.silent_s, word.is_old) == (False, 0.0, False)


def test_what_was_given_to_who_begins_is_old_after_a_stop_though_nobody_knows_when_it_was_said() -> None:
    clock = HandClock()
    word = Word(clock, 6.0)

    clock.now_s += STOPPED_S

    assert word.is_old
    assert not word.is_out, "it is not silent, and gives up nothing"


@pytest.mark.parametrize(
    ("session_timeout_ms", "heartbeat_ms"), [(1_250, 50), (1_400, 200), (6_000, 4_800), (61_200, 60_000)]
)
def test_whoever_hears_every_heartbeat_of_the_shortest_session_that_may_be_set_is_never_kept_from_claiming(
    session_timeout_ms: int, heartbeat_ms: int
) -> None:
    settings, clock = group_settings(session_timeout_ms, heartbeat_ms), HandClock()
    word = Word(clock, settings.kafka_group_session_timeout_ms / 1_000, settles_s=_SETTLES_S)
    silence = Silence(clock, word)

    for _ in range(100):
        silence.on_statistics(json.dumps({"brokers": {"GroupCoordinator": {"rxidle": heartbeat_ms * 1_000}}}))
        clock.now_s += STATISTICS_INTERVAL_S + POLLED_LATE_S
        assert not word.is_old


@pytest.mark.parametrize(("session_timeout_ms", "heartbeat_ms"), [(500, 200), (1_399, 200), (6_000, 6_000)])
def test_a_session_that_may_seem_over_between_two_heartbeats_is_refused(
    session_timeout_ms: int, heartbeat_ms: int
) -> None:
    with pytest.raises(SettingError, match="KAFKA_GROUP_SESSION_TIMEOUT_MS"):
        group_settings(session_timeout_ms, heartbeat_ms)


@pytest.mark.parametrize("lease_ttl_s", [1.0, 2.0, 6.0, 300.0])
def test_whoever_is_answered_within_half_of_its_lease_may_claim_by_each_answer(lease_ttl_s: float) -> None:
    clock = HandClock()
    word = Word(clock, config.load({"LOG_LEASE_TTL_S": f"{lease_ttl_s:g}"}).log_lease_ttl_s, ahead_s=_AHEAD_S)

    for _ in range(100):
        asked_at_s = clock.now_s
        clock.now_s += lease_ttl_s / 2
        word.renew(asked_at_s)
        clock.now_s += 0.2
        assert not word.is_old
        clock.now_s += min(ROUND_S, lease_ttl_s / 4)


def test_what_was_said_to_a_session_that_is_gone_is_old_until_the_log_speaks_again() -> None:
    clock = HandClock()
    word = Word(clock, 6.0)
    word.renew(clock.now_s)

    word.lost()
    assert (word.is_old, word.is_out) == (True, False), "nothing is given up for it"

    word.renew(clock.now_s)
    assert not word.is_old
