"""Whom to ask next, and when."""

import pytest

from argosy.client import GatewayUnreachableError, ProblemError
from argosy.client.deadline import Deadline
from argosy.client.patience import Answer, Gateways, Patience
from tests.harness.hand_clock import HandClock

BROKEN = OSError("connection reset")


def away(status: int, code: str, retry_after: str = "") -> Answer:
    return Answer(status, b'{"code":"%b","retryable":true}' % code.encode(), retry_after)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_every_gateway_is_asked_before_anybody_waits(clock: HandClock) -> None:
    patience = Patience(Gateways(("a", "b", "c")), clock, 30)

    asked = [(patience.asked, patience.failed(BROKEN) > 0) for _ in range(6)]

    assert asked == [(0, False), (1, False), (2, True), (0, False), (1, False), (2, True)]


def test_pauses_grow_to_a_bound(clock: HandClock) -> None:
    patience = Patience(Gateways(("a",)), clock, 10_000)

    pauses = [patience.failed(BROKEN) for _ in range(12)]

    assert pauses[0] <= 0.1
    assert all(1.0 <= pause <= 2.0 for pause in pauses[-3:])


@pytest.mark.parametrize(
    ("answer", "urls", "at_least_s"),
    [
        (away(503, "log_unavailable", "3"), ("a",), 3.0),
        (away(503, "log_unavailable", "3"), ("a", "b"), 0.0),
        (away(429, "rate_limited", "3"), ("a", "b"), 3.0),
        (away(503, "log_unavailable", "soon"), ("a",), 0.05),
    ],
)
def test_what_a_gateway_asks_for_is_kept_where_there_is_no_other(
    answer: Answer, urls: tuple[str, ...], at_least_s: float, clock: HandClock
) -> None:
    pause_s = Patience(Gateways(urls), clock, 30).answered(answer)

    assert pause_s is not None
    assert at_least_s <= pause_s <= at_least_s + 0.1


def test_patience_ends_in_time_and_begins_anew_with_success(clock: HandClock) -> None:
    patience = Patience(Gateways(("a",)), clock, 30, key="k")
    clock.now_s += 29.9
    patience.succeeded()
    clock.now_s += 29.0
    assert patience.failed(BROKEN) > 0

    clock.now_s += 2.0
    with pytest.raises(GatewayUnreachableError, match=r"connection reset; it may have been done: .*'k'"):
        patience.failed(BROKEN)
    with pytest.raises(ProblemError, match="log_unavailable"):
        patience.answered(away(503, "log_unavailable"))


def test_who_answered_is_asked_first_by_the_next_call(clock: HandClock) -> None:
    gateways = Gateways(("a", "b"))
    Patience(gateways, clock, 30).failed(BROKEN)

    assert Patience(gateways, clock, 30).asked == 1


def test_a_deadline_asks_for_whole_seconds_and_ends(clock: HandClock) -> None:
    deadline = Deadline(clock, 25)

    asked = [deadline.wait_s()]
    clock.now_s += 20
    asked.append(deadline.wait_s())
    clock.now_s += 4.9
    asked.append(deadline.wait_s())
    clock.now_s += 1

    assert asked == [20, 5, 1]
    with pytest.raises(TimeoutError, match="has not ended within 25 s"):
        deadline.wait_s()
