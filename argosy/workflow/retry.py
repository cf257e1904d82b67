"""Decides whether a step that failed is tried again, and when: pure.

Promise: a step is not tried again where that cannot help (the caller's own errors, a step's final failure, the declared
no_retry_on). An at_most_once step is tried again only when its error says that the effect certainly did not start.
Any other step that ends because a graph could not be asked is tried again whatever it declares, for as long as its turn
lives, and that spends none of its retries.
"""

import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Final, NamedTuple

from argosy.errors import (
    ArgosyError,
    CallerError,
    EffectNotStartedError,
    GraphAwayError,
    GraphUnusableError,
    StepFailedError,
)

RETRY_AFTER_S_MAX: Final = 86_400.0  # a day: what a server asks for by mistake must not hold a turn for years
AWAY_BACKOFF_S: Final = 0.5  # of the first pause for want of a graph; the longest one is GRAPH_RETRY_S_MAX

ExceptionTypes = tuple[type[BaseException], ...]


class RetryPolicy(NamedTuple):
    """The retries that a step declares.

    retries: tries after the first; the n-th comes after up to backoff_s * 2**(n-1) seconds, at most backoff_s_max.
    retry_on: the step is tried again after these errors only; no_retry_on takes precedence.
    """

    retries: int = 0
    backoff_s: float = 0.2
    backoff_s_max: float = 60.0
    retry_on: ExceptionTypes = (Exception,)
    no_retry_on: ExceptionTypes = ()
    is_at_most_once: bool = False


def decide(policy: RetryPolicy, tries: int, error: BaseException, random: Random, now_s: float) -> float | None:
    """Return the seconds until the next try, or None to give up.

    tries: how many failed, this one included. random: for the jitter. now_s: seconds since 1970, for a date in
    Retry-After. The server's Retry-After is the minimum, and the jitter is added to it: callers that the server told
    the same must spread out.
    """
    if tries > policy.retries or not _may_help(policy, error):
        return None
    return min(retry_after_s(error, now_s), RETRY_AFTER_S_MAX) + backoff_s(policy, tries, random)


def is_away(policy: RetryPolicy, error: BaseException) -> bool:
    """Whether a try failed because a graph could not be asked, and for no other reason, so that it spends no retry."""
    return not policy.is_at_most_once and all(isinstance(each, GraphAwayError) for each in _leaves(error))


def told_of(error: BaseException) -> BaseException:
    """Return which error is told of a try that failed because graphs could not be asked: of reads that failed together
    one, if need be that for which an operator has to act.
    """
    leaves = list(_leaves(error))
    return next((each for each in leaves if isinstance(each, GraphUnusableError)), leaves[0])


def shard_of(error: BaseException) -> uuid.UUID | None:
    """Return the shard that did not answer, if that is why a try failed."""
    return next((each.shard for each in _leaves(error) if isinstance(each, ArgosyError) and each.shard), None)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, or those of a group: reads that a step makes side by side fail together."""
    left = [error]
    while left:
        each = left.pop()
        if isinstance(each, BaseExceptionGroup):
            left.extend(reversed(each.exceptions))
        else:
            yield each


def backoff_s(policy: RetryPolicy, tries: int, random: Random) -> float:
    """Return an exponential back-off with full jitter (uniform from 0 to this try's bound), to spread callers out."""
    bound_s = min(policy.backoff_s_max, policy.backoff_s * 2.0 ** min(tries - 1, 64))
    return random.random() * bound_s


def _may_help(policy: RetryPolicy, error: BaseException) -> bool:
    if isinstance(error, EffectNotStartedError):
        return not isinstance(error, policy.no_retry_on)
    if policy.is_at_most_once or isinstance(error, (CallerError, StepFailedError)):
        return False
    return isinstance(error, policy.retry_on) and not isinstance(error, policy.no_retry_on)


def retry_after_s(error: BaseException, now_s: float) -> float:
    """Return the seconds that the called server asked for; 0 when it asked for none, or for no valid time.

    They are `error.retry_after_s`, or the Retry-After header of `error.response`, where HTTP clients keep it.
    """
    told: Any = getattr(error, "retry_after_s", None)
    if told is None:
        headers = getattr(getattr(error, "response", None), "headers", None)
        try:
            told = None if headers is None else headers.get("Retry-After")
        except Exception:  # a foreign error may carry anything there
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
