"""Runs one step of a turn: its tries, their timeout, and the record of how it came out.

Order of one try: everything before it is durable → (at_most_once: its intent is durable) → the code runs → its outcome
is handed to the journal. The value goes on to the workflow before that is durable; what comes next waits for it.
"""

import asyncio
import inspect
import sys
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Final, NamedTuple

import structlog

from argosy import crash_points, telemetry
from argosy.errors import OwnershipLostError, StepFailedError, StepTimeoutError, WorkflowError
from argosy.process import fork
from argosy.turn.events import Event
from argosy.workflow import outcome, payload, retry
from argosy.workflow.current import Try, current_try
from argosy.workflow.definition import Step
from argosy.workflow.frames import traceback_of
from argosy.workflow.journal import Journal, Park
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.replay import UNCERTAIN_EFFECT
from argosy.workflow.threads import Label, Pool

log = structlog.get_logger()

_TOLD_S: Final = 0.01  # a try that took less is not told how long: most do, and each event would be larger for it

_count_completed = telemetry.STEPS.labels(outcome="completed").inc
_count_failed = telemetry.STEPS.labels(outcome="failed").inc
_count_retried = telemetry.STEPS.labels(outcome="retried").inc
_observe_s = telemetry.STEP_S.observe


class Limits(NamedTuple):
    """Bounds of this worker. step_timeout_s_max: no step may declare a longer timeout_s."""

    payload_size_bytes_max: int
    step_timeout_s_max: float


class StepRunner:
    """The steps of one attempt. threads: where synchronous steps run. random: uniform in [0, 1), for the jitter."""

    __slots__ = ("_generation", "_journal", "_limits", "_loop", "_open", "_random", "_threads", "_time_s")

    def __init__(
        self, journal: Journal, attempt: OpenAttempt, threads: Pool, limits: Limits, random: Callable[[], float]
    ) -> None:
        self._journal = journal
        self._open = attempt
        self._threads = threads
        self._limits = limits
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._generation = fork.generation
        self._time_s = self._loop.time

    async def run(
        self, step: Step, function: Callable[..., Any], key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result, as it is decoded from what is recorded. Raises StepFailedError when the last try failed."""
        journal = self._journal
        if step.is_private:
            journal.hide(key)
        tries = journal.tries(key)
        if tries:
            await self._wait_again(step, key, tries)
        while True:
            await journal.ready(key)
            if step.policy.is_at_most_once:
                await self._intend(step, key)
            tries += 1
            started_s = self._time_s()
            this = Try(self._open, key, tries, step.is_private)
            token = current_try.set(this)
            try:
                try:
                    value = await (
                        function(*args, **kwargs) if step.is_plain else self._call(step, function, key, args, kwargs)
                    )
                    encoded, decoded = payload.encode(value, self._limits.payload_size_bytes_max)
                finally:
                    if self._generation != fork.generation:
                        fork.end_child(sys.exc_info()[1])
                    current_try.reset(token)
                    this.is_over = True
                    this.tail = None
                    took_s = self._time_s() - started_s
                    _observe_s(took_s)
            except BaseException as error:
                if _is_interruption(error):
                    self._open.clear(key)
                    raise
                failed = error
            else:
                self._refuse_late(key)
                crash_points.reach("in_step")
                data = outcome.completed(encoded, tries)
                if took_s >= _TOLD_S or step.mark or self._open.tail is not None or self._open.filled is not None:
                    data = self._at_end(step, key, data, took_s)
                journal.record(Event.STEP_COMPLETED, key, data)
                _count_completed()
                return decoded
            self._refuse_late(key)
            try:
                await self._failed(step, key, tries, failed, took_s)
            finally:
                del failed  # its traceback holds this frame

    async def _failed(self, step: Step, key: str, tries: int, error: BaseException, took_s: float) -> None:
        """Record a failed try. Returns when the next is due; raises StepFailedError when there is none."""
        journal = self._journal
        delay_s = retry.decide(step.policy, tries, error, self._random, journal.database_time_s())
        failure = outcome.failure_of(error, tries)
        if delay_s is None:
            failure.traceback = traceback_of(error)
            self._say(telemetry.STEP_FAILED, step, key, failure, failure.traceback)
            journal.record(Event.STEP_FAILED, key, self._at_end(step, key, outcome.encode(failure), took_s))
            _count_failed()
            # Not `from error`: a replay has only what was recorded.
            raise StepFailedError(
                failure.message, failure.type, is_private=step.is_private, traceback=failure.traceback
            )
        if tries == 1:
            self._say(telemetry.STEP_RETRIED, step, key, failure, traceback_of(error))
        failure.delay_s = delay_s
        self._open.clear(key)
        journal.record(Event.STEP_RETRYING, key, self._at_end(step, key, outcome.encode(failure), took_s))
        _count_retried()
        await journal.wait(f"{key}~{tries}", "retry", "", delay_s)

    def _say(self, event: str, step: Step, key: str, failure: outcome.Failure, traceback: str) -> None:
        """In the log. What a private step said is for history alone, and its traceback begins with that."""
        told = {} if step.is_private else {"message": failure.message, "traceback": traceback}
        turn_id = str(self._journal.turn_id)
        log.warning(event, turn_id=turn_id, step=key, type=failure.type, tries=failure.attempts, **told)

    def _at_end(self, step: Step, key: str, data: bytes, took_s: float) -> bytes:
        """The data of the event that ends a try, with how long it took and what it has emitted."""
        if took_s >= _TOLD_S:
            data = outcome.extended(data, b'"took_ms":%d' % (took_s * 1000))
        return outcome.extended(outcome.with_channels(data, self._open.take(key)), step.mark)

    async def _wait_again(self, step: Step, key: str, tries: int) -> None:
        """The wait before the next try, which history may hold, or hold begun, or not at all."""
        wait_key = f"{key}~{tries}"
        if self._journal.recorded(wait_key) is None:
            await self._journal.wait(wait_key, "retry", "", retry.backoff_s(step.policy, tries, self._random))

    async def _intend(self, step: Step, key: str) -> None:
        journal = self._journal
        if journal.is_intended(key):
            name = "a private step" if step.is_private else f"step {key!r}"
            raise Park(
                UNCERTAIN_EFFECT,
                f"{name} is at_most_once, and a crash left unknown whether it took effect. Look where its effect "
                "would show, then resume the turn to run the step (again), or cancel the turn",
                key,
                is_private=step.is_private,
            )
        journal.record(Event.STEP_INTENDED, key, outcome.extended(b"{}", step.mark))
        await journal.durable(key)

    async def _call(
        self, step: Step, function: Callable[..., Any], key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """One try that needs a thread, a timeout, or both. The timeout begins when a thread does."""
        if step.timeout_s is not None and step.timeout_s > self._limits.step_timeout_s_max:
            raise WorkflowError(
                f"timeout_s={step.timeout_s:g} is above STEP_TIMEOUT_S_MAX={self._limits.step_timeout_s_max:g}"
            )
        try:
            async with asyncio.timeout(step.timeout_s if step.is_async else None) as timeout:
                if step.is_async:
                    return await function(*args, **kwargs)
                bound = None if step.timeout_s is None else partial(self._bound, timeout, step.timeout_s)
                value = await self._call_in_thread(partial(function, *args, **kwargs), key, bound)
                # A wrapper that is no coroutine function may still hand one out.
                return await value if inspect.iscoroutine(value) else value
        except TimeoutError:
            if timeout.expired():
                raise StepTimeoutError(f"one try took longer than timeout_s={step.timeout_s:g}") from None
            raise

    def _bound(self, timeout: asyncio.Timeout, timeout_s: float) -> None:
        timeout.reschedule(self._time_s() + timeout_s)

    async def _call_in_thread(self, function: Callable[[], Any], key: str, on_begin: Callable[[], None] | None) -> Any:
        """After a timeout or a cancellation the thread goes on, and nobody hears of what it returns."""
        job = self._threads.submit(
            partial(copy_context().run, _call_plain, function), Label(self._journal.turn_id, key), on_begin
        )
        try:
            return await job.ended
        finally:
            if job.ended.cancelled():
                self._threads.give_up(job)

    def _refuse_late(self, key: str) -> None:
        if self._open.is_closed:
            self._open.clear(key)
            raise asyncio.CancelledError("the workflow has ended")


def _call_plain(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except StopIteration as error:  # no future can hold one
        raise RuntimeError("the step raised StopIteration") from error


def _is_interruption(error: BaseException) -> bool:
    """Whether a try was ended from outside, so that it has no outcome; everything else that it raises is its failure,
    sys.exit() and a cancellation that it inflicted on itself among them.
    """
    if isinstance(error, asyncio.CancelledError):
        return _is_cancelling()
    return isinstance(error, (OwnershipLostError, Park, KeyboardInterrupt, GeneratorExit))


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
