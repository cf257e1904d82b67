"""Whether and when a step is tried again."""

from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import EffectNotStartedError, PayloadTooLargeError, StepFailedError, StepTimeoutError, WorkflowError
from argosy.workflow.retry import RETRY_AFTER_S_MAX, RetryPolicy, decide
from tests.workflow.fixed_random import FixedRandom

NOW_S = 1_763_700_000.0


def delay_s(policy: RetryPolicy, tries: int, error: BaseException, random: float = 0.5) -> float | None:
    return decide(policy, tries, error, FixedRandom(random), NOW_S)


def test_the_wait_doubles_up_to_its_bound_with_full_jitter() -> None:
    policy = RetryPolicy(retries=10, backoff_s=1, backoff_s_max=5)

    assert [delay_s(policy, tries, ValueError(), random=1.0) for tries in range(1, 6)] == [1, 2, 4, 5, 5]
    assert delay_s(policy, 3, ValueError(), random=0.0) == 0
    assert delay_s(policy, 3, ValueError(), random=0.25) == 1


def test_retries_are_tries_after_the_first() -> None:
    policy = RetryPolicy(retries=2)

    assert [delay_s(policy, tries, ValueError()) is not None for tries in (1, 2, 3)] == [True, True, False]
    assert delay_s(RetryPolicy(), 1, ValueError()) is None


@pytest.mark.parametrize("error", [PayloadTooLargeError("x"), WorkflowError("x"), StepFailedError("x")])
def test_what_cannot_help_is_not_tried_again(error: Exception) -> None:
    assert delay_s(RetryPolicy(retries=9), 1, error) is None


@pytest.mark.parametrize("error", [StepTimeoutError("x"), OSError("x"), ValueError("x")])
def test_other_errors_are(error: Exception) -> None:
    assert delay_s(RetryPolicy(retries=9), 1, error) is not None


def test_declared_errors_decide_and_the_refusal_wins() -> None:
    policy = RetryPolicy(retries=9, retry_on=(OSError,), no_retry_on=(FileNotFoundError,))

    assert delay_s(policy, 1, ConnectionError()) is not None
    assert delay_s(policy, 1, ValueError()) is None
    assert delay_s(policy, 1, FileNotFoundError()) is None


def test_an_at_most_once_step_is_tried_again_only_when_nothing_happened() -> None:
    policy = RetryPolicy(retries=9, is_at_most_once=True)

    assert delay_s(policy, 1, ValueError()) is None
    assert delay_s(policy, 1, StepTimeoutError("x")) is None
    assert delay_s(policy, 1, EffectNotStartedError("x")) is not None


def error_with(**attributes: Any) -> Exception:
    error = ValueError()
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def response(retry_after: Any) -> SimpleNamespace:
    return SimpleNamespace(headers={"Retry-After": retry_after})


@pytest.mark.parametrize(
    ("error", "expected_s"),
    [
        (error_with(retry_after_s=30), 30),
        (error_with(retry_after_s="30"), 30),
        (error_with(response=response("7")), 7),
        (error_with(response=response(format_datetime(datetime.fromtimestamp(NOW_S + 90, UTC), usegmt=True))), 90),
        (error_with(response=response("yesterday")), 0),
        (error_with(response=SimpleNamespace(headers=None)), 0),
        (error_with(response=SimpleNamespace(headers=5)), 0),
        (error_with(retry_after_s=-5), 0),
        (error_with(retry_after_s=float("nan")), 0),
        (error_with(retry_after_s=float("inf")), RETRY_AFTER_S_MAX),
        (error_with(retry_after_s=10**9), RETRY_AFTER_S_MAX),
        (error_with(retry_after_s=[1]), 0),
        (error_with(retry_after_s=True), 0),
    ],
)
def test_what_the_other_side_asks_for_is_the_least(error: Exception, expected_s: float) -> None:
    assert delay_s(RetryPolicy(retries=1, backoff_s=0.2), 1, error, random=0.0) == expected_s
    assert delay_s(RetryPolicy(retries=1, backoff_s=0.2), 1, error, random=1.0) == expected_s + 0.2


@given(
    tries=st.integers(1, 10_000),
    backoff_s=st.floats(0, 3_600),
    random=st.floats(0, 1, exclude_max=True),
    retries=st.integers(0, 1_000),
)
def test_a_wait_is_never_negative_and_never_over_its_bound(
    tries: int, backoff_s: float, random: float, retries: int
) -> None:
    found = delay_s(RetryPolicy(retries, backoff_s, 86_400.0), tries, OSError(), random)

    assert (found is None) == (tries > retries)
    assert found is None or 0 <= found <= 86_400.0
