"""Runs a try of a step, with its timeout and its thread, and returns its outcome.

Order of one try: everything before it is durable → (at_most_once: its intent is durable) → the code runs → its outcome
goes to the driver, which records and delivers it. The workflow gets the value before the record is durable; the next
operation waits for the record.
"""

import asyncio
import inspect
import sys
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from random import Random
from time import perf_counter
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from argosy import crash_points, telemetry
from argosy.errors import FencedError, OwnershipLostError, StepTimeoutError, WorkflowError
from argosy.process import fork
from argosy.turn.events import Event
from argosy.turn.keys import GRAPH
from argosy.workflow import outcome, payload, retry
from argosy.workflow.current import Try, current_try
from argosy.workflow.definition import TIMEOUT_S_MAX, Step
from argosy.workflow.frames import traceback_of
from argosy.workflow.journal import Journal, Park
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.operation import StepOperation
from argosy.workflow.replay import UNCERTAIN_EFFECT
from argosy.workflow.retry import RetryPolicy
from argosy.workflow.threads import Label, ThreadPool

log = structlog.get_logger()

_NOTHING: Final[dict[str, Any]] = {}  # shared by most attempts, so nothing is ever added to it
_TOLD_S: Final = 0.01  # events of shorter tries do not have their duration: most are shorter, and events stay small

_tally: Final = telemetry.STEPS


class Bounds(NamedTuple):
    """The bounds of this worker.

    step_timeout_s_max: no step may declare a longer timeout_s; callbacks_max: callbacks of a turn's loop between two
    outcomes; graph_retry_s_max: the longest pause between two tries of an operation of a graph.
    """

    payload_size_bytes_max: int
    step_timeout_s_max: float = TIMEOUT_S_MAX
    callbacks_max: int = 1_000_000
    graph_retry_s_max: float = 60.0


class Tried(msgspec.Struct, eq=False):
    """The outcome of one try: step.completed, step.failed or step.retrying, with its data.

    value: what the try returned, as decoded from the data; delay_s: until the next try; is_away, shard: as in
    outcome.Failure.
    """

    event: Event
    data: bytes
    value: Any = None
    delay_s: float = 0.0
    is_away: bool = False
    shard: str = ""


class StepRunner:
    """Runs the steps of one attempt. threads: for synchronous steps; random: for the jitter of pauses.

    unheard: by key, the outcomes of tries that ended with GeneratorExit. Code that awaits such a try may get
    GeneratorExit in place of the outcome, because Python closes a coroutine that awaits a future with such an error,
    and raises the error further out.
    """

    __slots__ = ("_bounds", "_journal", "_open", "_random", "_threads", "unheard")

    def __init__(
        self, journal: Journal, attempt: OpenAttempt, threads: ThreadPool, bounds: Bounds, random: Random
    ) -> None:
        self._journal = journal
        self._open = attempt
        self._threads = threads
        self._bounds = bounds
        self._random = random
        self.unheard = _NOTHING

    async def run(self, operation: StepOperation) -> Tried:
        """Run one try and return its outcome; operation.tries: how many tries came before it.

        Called in a task of its own. Raises CancelledError when the try was ended from outside, and has no outcome.
        """
        journal, step, key, tries = self._journal, operation.step, operation.key, operation.tries + 1
        if not journal.starts_now(key):
            await journal.ready(key)
        if step.policy.is_at_most_once:
            await self._intend(step, key)
        fork_depth, started_s = fork.depth, perf_counter()
        this = Try(self._open, key, tries, step.is_private)
        token = current_try.set(this)
        try:
            try:
                value = await (
                    operation.function(*operation.args, **operation.kwargs) if step.is_plain else self._call(operation)
                )
                encoded, decoded = payload.encode(value, self._bounds.payload_size_bytes_max)
            finally:
                if fork_depth != fork.depth:
                    fork.end_child(sys.exc_info()[1])
                current_try.reset(token)
                this.is_over = True
                this.tail = None
                took_s = perf_counter() - started_s
                _tally.took(took_s)
        except BaseException as error:
            if _is_interruption(operation, error):
                self._open.clear(key)
                raise
            if self._open.is_closed:
                self._refuse_late(key)
            tried = self._failed(operation, tries, error, took_s)
            if isinstance(error, GeneratorExit):
                self.unheard = self.unheard or {}  # not the shared empty one
                self.unheard[key] = tried
            return tried
        if self._open.is_closed:
            self._refuse_late(key)
        crash_points.reach("in_step")
        _tally.completed += 1
        data = outcome.completed(encoded, tries)
        if took_s >= _TOLD_S or step.mark or self._open.tail is not None or self._open.filled is not None:
            data = self._at_end(step, key, data, took_s)
        return Tried(Event.STEP_COMPLETED, outcome.with_digest(data, operation.digest), decoded)

    def take_up(self, operation: StepOperation, failures: Sequence[bytes]) -> tuple[float, str]:
        """Go on with a step after the tries that history has of it. Returns how long it pauses now, unless it has done
        so, and for which shard. failures: the data of these tries.
        """
        operation.tries, operation.tries_away = len(failures), sum(map(outcome.is_away, failures))
        policy, counted = self._policy(operation.step), operation.tries - operation.tries_away
        if outcome.is_away(failures[-1]):
            policy, counted = self._away(), operation.tries_away
        return retry.backoff_s(policy, counted, self._random), outcome.shard_of(failures[-1])

    def _failed(self, operation: StepOperation, tries: int, error: BaseException, took_s: float) -> Tried:
        """Return the outcome of a try that failed: another try later, or the failure of the step."""
        step, key, tries_away = operation.step, operation.key, operation.tries_away
        is_away = retry.is_away(step.policy, error)
        delay_s: float | None
        if is_away:
            delay_s = retry.backoff_s(self._away(), tries_away + 1, self._random)
        else:
            now_s = self._journal.database_time_s()
            delay_s = retry.decide(self._policy(step), tries - tries_away, error, self._random, now_s)
        failure = outcome.failure_of(retry.told_of(error) if is_away else error, tries, retry.shard_of(error))
        if delay_s is None:
            failure.traceback = traceback_of(error)
            failure.causes = outcome.causes_of(error)
            self._say(telemetry.STEP_FAILED, step, key, failure, failure.traceback)
            _tally.failed += 1
            data = self._at_end(step, key, outcome.encode(failure), took_s)
            return Tried(Event.STEP_FAILED, outcome.with_digest(data, operation.digest))
        if tries == 1:
            self._say(telemetry.STEP_RETRIED, step, key, failure, traceback_of(error))
        failure.delay_s = delay_s
        failure.away = is_away
        self._open.clear(key)
        _tally.retried += 1
        data = self._at_end(step, key, outcome.encode(failure), took_s)
        return Tried(Event.STEP_RETRYING, data, None, delay_s, is_away, failure.shard)

    def _away(self) -> RetryPolicy:
        """Return how long a step pauses whose graph could not be asked."""
        return RetryPolicy(backoff_s=retry.AWAY_BACKOFF_S, backoff_s_max=self._bounds.graph_retry_s_max)

    def _policy(self, step: Step) -> RetryPolicy:
        """Return how the step is tried again: for how long an operation of a graph pauses is a setting."""
        policy = step.policy
        return policy._replace(backoff_s_max=self._bounds.graph_retry_s_max) if step.name.startswith(GRAPH) else policy

    def _say(self, event: str, step: Step, key: str, failure: outcome.Failure, traceback: str) -> None:
        """Log a failed try. Message and traceback of a private step are left out: only history has its message, and the
        traceback would show it.
        """
        told = {} if step.is_private else {"message": failure.message, "traceback": traceback}
        turn_id = str(self._journal.turn_id)
        log.warning(event, turn_id=turn_id, step=key, type=failure.type, tries=failure.attempts, **told)

    def _at_end(self, step: Step, key: str, data: bytes, took_s: float) -> bytes:
        """Return the data of the event that ends a try, with how long the try took and what it emitted."""
        if took_s >= _TOLD_S:
            data = outcome.extended(data, b'"took_ms":%d' % (took_s * 1000))
        return outcome.extended(outcome.with_channels(data, self._open.take(key)), step.mark)

    def check_certain(self, operation: StepOperation) -> None:
        """Raise Park when an at_most_once step may have had its effect already."""
        step, key = operation.step, operation.key
        if step.policy.is_at_most_once and self._journal.replay.is_intended(key):
            name = "a private step" if step.is_private else f"step {key!r}"
            raise Park(
                UNCERTAIN_EFFECT,
                f"{name} is at_most_once, and a crash left unknown whether it took effect. Look where its effect "
                "would show, then resume the turn to run the step (again), or cancel the turn",
                key,
                is_private=step.is_private,
            )

    async def _intend(self, step: Step, key: str) -> None:
        self._journal.record(Event.STEP_INTENDED, key, outcome.extended(b"{}", step.mark))
        await self._journal.durable(key)

    async def _call(self, operation: StepOperation) -> Any:
        """Run a try that needs a thread, a timeout, or both.

        The timeout of a synchronous step begins when a thread takes up its call.
        """
        step = operation.step
        if step.timeout_s is not None and step.timeout_s > self._bounds.step_timeout_s_max:
            raise WorkflowError(
                f"timeout_s={step.timeout_s:g} is above STEP_TIMEOUT_S_MAX={self._bounds.step_timeout_s_max:g}"
            )
        function, args, kwargs = operation.function, operation.args, operation.kwargs
        try:
            async with asyncio.timeout(step.timeout_s if step.is_async else None) as timeout:
                if step.is_async:
                    return await function(*args, **kwargs)
                bound = None if step.timeout_s is None else partial(self._bound, timeout, step.timeout_s)
                value = await self._call_in_thread(partial(function, *args, **kwargs), operation.key, bound)
                # A wrapper that is no coroutine function may still return a coroutine.
                return await value if inspect.iscoroutine(value) else value
        except TimeoutError:
            if timeout.expired():
                raise StepTimeoutError(f"one try took longer than timeout_s={step.timeout_s:g}") from None
            raise

    def _bound(self, timeout: asyncio.Timeout, timeout_s: float) -> None:
        timeout.reschedule(asyncio.get_running_loop().time() + timeout_s)

    async def _call_in_thread(self, function: Callable[[], Any], key: str, on_begin: Callable[[], None] | None) -> Any:
        """Call the function in a thread. After a timeout or a cancellation the call goes on; its result is dropped."""
        job = self._threads.submit(
            partial(copy_context().run, _call_plain, function), Label(self._journal.turn_id, key), on_begin
        )
        try:
            return await job.ended
        finally:
            if job.ended.cancelled():
                self._threads.give_up(job)

    def _refuse_late(self, key: str) -> None:
        self._open.clear(key)
        raise asyncio.CancelledError("the workflow has ended")


def _call_plain(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except StopIteration as error:  # a future refuses it
        raise RuntimeError("the step raised StopIteration") from error


def _is_interruption(operation: StepOperation, error: BaseException) -> bool:
    """Whether a try was ended from outside, so that it has no outcome.

    Any other error is the failure of the try, also sys.exit() and a cancellation that the try inflicted on itself.
    """
    if isinstance(error, asyncio.CancelledError):
        return operation.is_ended
    return isinstance(error, (OwnershipLostError, FencedError, Park))
