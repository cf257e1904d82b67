"""Whether a step that failed is tried again, and when: pure.

Promise: what cannot help is not tried again (errors of the caller's making, a step's own final failure, the declared
no_retry_on), and an at_most_once step only when its error says that the effect certainly did not start.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from argosy.errors import CallerError, EffectNotStartedError, StepFailedError

RETRY_AFTER_S_MAX: Final = 86_400.0

ExceptionTypes = tuple[type[BaseException], ...]


class RetryPolicy(NamedTuple):
    """What a step declares. retries: tries after the first; the n-th waits up to backoff_s * 2**(n-1), backoff_s_max at
    the most. retry_on: the only errors that are tried again; no_retry_on wins over it.
    """

    retries: int = 0
    backoff_s: float = 0.2
    backoff_s_max: float = 60.0
    retry_on: ExceptionTypes = (Exception,)
    no_retry_on: ExceptionTypes = ()
    is_at_most_once: bool = False


def decide(
    policy: RetryPolicy, tries: int, error: BaseException, random: Callable[[], float], now_s: float
) -> float | None:
    """Seconds until the next try; None: give up.

    tries: how many failed, this one included. random: uniform in [0, 1). now_s: seconds since 1970, for a date in
    Retry-After. The server's Retry-After is the least, jitter comes on top: those it told the same must spread.
    """
    if tries > policy.retries or not _may_help(policy, error):
        return None
    return min(retry_after_s(error, now_s), RETRY_AFTER_S_MAX) + backoff_s(policy, tries, random)


def backoff_s(policy: RetryPolicy, tries: int, random: Callable[[], float]) -> float:
    """Exponential with full jitter: uniform between 0 and the bound of this try, so that crowds spread out."""
    bound_s = min(policy.backoff_s_max, policy.backoff_s * 2.0 ** min(tries - 1, 64))
    return random() * bound_s


def _may_help(policy: RetryPolicy, error: BaseException) -> bool:
    if isinstance(error, EffectNotStartedError):
        return not isinstance(error, policy.no_retry_on)
    if policy.is_at_most_once or isinstance(error, (CallerError, StepFailedError)):
        return False
    return isinstance(error, policy.retry_on) and not isinstance(error, policy.no_retry_on)


def retry_after_s(error: BaseException, now_s: float) -> float:
    """What the other side asked for: `error.retry_after_s`, or Retry-After of `error.response` as HTTP clients keep it;
    0 when there is none or it makes no sense.
    """
    told: Any = getattr(error, "retry_after_s", None)
    if told is None:
        headers = getattr(getattr(error, "response", None), "headers", None)
        try:
            told = None if headers is None else headers.get("Retry-After")
        except Exception:  # whatever a foreign error carries there
            told = None
    return _seconds(told, now_s)


def _seconds(told: Any, now_s: float) -> float:
    if told is None or isinstance(told, bool):
        return 0.0
    try:
        delay_s = float(told)
    except (TypeError, ValueError):
        try:
            delay_s = parsedate_to_datetime(told).timestamp() - now_s
        except (TypeError, ValueError, AttributeError, OverflowError):
            return 0.0
    return delay_s if delay_s > 0 else 0.0  # NaN is not > 0
