"""A token bucket, with a clock that the test turns."""

from argosy.gateway.rate_limit import RateLimit
from tests.harness.hand_clock import HandClock

TENANTS_MAX = 100


def test_the_burst_is_granted_at_once_and_the_rate_afterwards() -> None:
    clock = HandClock()
    limit = RateLimit(10, 5, clock, tenants_max=TENANTS_MAX)

    at_once = limit.take("a", 8)
    clock.now_s += 0.25
    later = limit.take("a", 8)

    assert (at_once, later) == (5, 2)
    assert limit.retry_after_s("a") == 0.05


def test_tenants_have_buckets_of_their_own() -> None:
    limit = RateLimit(1, 1, HandClock(), tenants_max=TENANTS_MAX)

    assert [limit.take("a"), limit.take("a"), limit.take("b")] == [1, 0, 1]


def test_no_rate_is_no_limit() -> None:
    assert RateLimit(0, 0, HandClock(), tenants_max=TENANTS_MAX).take("a", 10_000) == 10_000


def test_many_tenants_cost_bounded_memory() -> None:
    clock = HandClock()
    limit = RateLimit(1, 1, clock, tenants_max=TENANTS_MAX)

    for number in range(3 * TENANTS_MAX):
        clock.now_s += 1
        limit.take(f"t{number}")

    assert len(limit._buckets) <= TENANTS_MAX


def test_a_clock_that_stands_still_grants_nothing_new() -> None:
    limit = RateLimit(5, 2, HandClock(), tenants_max=TENANTS_MAX)

    assert sum(limit.take("a") for _ in range(10)) == 2
