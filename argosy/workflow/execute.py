"""Run a workflow from its input to its result, against a journal."""

import asyncio
from contextvars import copy_context
from random import Random
from typing import Any, Final, Protocol

import msgspec

from argosy.errors import OwnershipLostError, WorkflowError
from argosy.workflow import anyio_scopes, payload
from argosy.workflow.context import Context
from argosy.workflow.current import current_attempt, current_try
from argosy.workflow.definition import TIMEOUT_S_MAX, Workflow
from argosy.workflow.driver import Driver
from argosy.workflow.journal import Journal
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.step_runner import Bounds, StepRunner
from argosy.workflow.sync_context import OwnThread
from argosy.workflow.threads import Threads

anyio_scopes.install()

_CLOSE_TIMEOUT_S: Final = 5.0  # for cancelled tries to end; what goes on after it, nothing records
_RESULT: Final = "the result of the workflow"
_RANDOM: Final = Random()


class AfterCode(Protocol):
    """What Execution tells."""

    def after_code(self, result: bytes | None, error: BaseException | None) -> None:
        """The attempt has ended, with the result as JSON bytes or with an error: what the workflow raises; Park;
        OwnershipLostError; EncodingError and PayloadTooLargeError when the result cannot be recorded; CancelledError
        when the attempt was cancelled.
        """


class Execution:
    """One attempt of a turn, from its first line to its end. Used from the worker's loop.

    threads: where synchronous steps and workflows run. then: told once, when nothing of the workflow runs any more,
    except threads that cannot be stopped; these can record nothing. random: for the jitter of pauses between tries.
    """

    __slots__ = (
        "_bounds",
        "_driver",
        "_is_ending",
        "_random",
        "_then",
        "_thread",
        "_threads",
        "_waiting",
        "has_ended",
    )

    def __init__(
        self,
        threads: Threads,
        bounds: Bounds,
        then: AfterCode,
        random: Random = _RANDOM,
    ) -> None:
        self._threads = threads
        self._bounds = bounds
        self._then = then
        self._random = random
        self._driver: Driver | None = None
        self._thread: OwnThread | None = None
        self._is_ending = False
        self._waiting: asyncio.Task[None] | None = None
        self.has_ended = False

    def begin(self, definition: Workflow, journal: Journal, input_bytes: bytes) -> None:
        """Run the code from its first line. input_bytes: JSON. Does nothing when the execution was cancelled before."""
        if self._is_ending:
            return
        try:
            arguments = _arguments(definition, input_bytes)
        except WorkflowError as error:
            self._is_ending = True
            self._tell(None, error)
            return
        attempt = OpenAttempt(journal)
        variables = copy_context()
        variables.run(_enter, attempt)
        journal.open(attempt)
        runner = StepRunner(journal, attempt, self._threads.steps, self._bounds, self._random)
        driver = self._driver = Driver(journal, runner, attempt, self, self._bounds.callbacks_max)
        context = Context(journal, driver)
        if definition.is_async:
            code = definition.function(context, *arguments)
        else:
            try:
                thread = self._thread = variables.run(
                    OwnThread, definition.function, context, driver, arguments, self._threads.workflows
                )
            except OwnershipLostError as error:
                self._is_ending = True
                self._tell(None, error)
                return
            code = thread.code()
        driver.begin(code, variables)

    @property
    def has_begun(self) -> bool:
        """Whether code of the workflow has run."""
        return self._driver is not None or self.has_ended

    def cancel(self) -> None:
        """End the attempt from outside: close its frames and cancel its steps."""
        if not self._is_ending:
            self._is_ending = True
            # Not at once: the caller may itself be running inside a call that the attempt made.
            asyncio.get_running_loop().call_soon(self._close, None, asyncio.CancelledError())

    def after_done(self) -> None:
        """The driver has a result or an error: the code has ended, or cannot go on."""
        driver = self._driver
        if self._is_ending or driver is None:
            return
        self._is_ending = True
        error, result = driver.take_error(), None
        if error is None:
            try:
                result = payload.encode(driver.result, self._bounds.payload_size_bytes_max, _RESULT)[0]
            except BaseException as raised:  # EncodingError, PayloadTooLargeError, or what the result's class raises
                error = raised
        elif isinstance(error, BaseExceptionGroup):
            error = _root(error)
        self._close(result, error)

    def _close(self, result: bytes | None, error: BaseException | None) -> None:
        driver = self._driver
        left = driver.close() if driver is not None else set()
        if left or self._thread is not None:
            self._waiting = asyncio.get_running_loop().create_task(self._wait(left, result, error))
        else:
            self._tell(result, error)

    async def _wait(self, left: set[asyncio.Task[None]], result: bytes | None, error: BaseException | None) -> None:
        if left:
            await asyncio.wait(left, timeout=_CLOSE_TIMEOUT_S)
        if self._thread is not None:
            await self._thread.close()
        self._tell(result, error)

    def _tell(self, result: bytes | None, error: BaseException | None) -> None:
        self.has_ended = True
        self._driver = self._thread = None
        self._then.after_code(result, error)


async def execute(
    definition: Workflow,
    journal: Journal,
    input_bytes: bytes,
    *,
    threads: Threads,
    payload_size_bytes_max: int,
    step_timeout_s_max: float = TIMEOUT_S_MAX,
    random: Random = _RANDOM,
) -> bytes:
    """Run an Execution to its end, and return the workflow's result as JSON bytes. Raises the Execution's error."""
    ended = _Ended()
    execution = Execution(threads, Bounds(payload_size_bytes_max, step_timeout_s_max), ended, random)
    execution.begin(definition, journal, input_bytes)
    try:
        result = await asyncio.shield(ended.future)
    except asyncio.CancelledError:
        execution.cancel()
        await ended.future
        raise
    if ended.error is not None:
        raise ended.error
    return result


class _Ended:
    """What an Execution came to. future: done when it has ended, with its result; empty when there is an error."""

    def __init__(self) -> None:
        self.future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.error: BaseException | None = None

    def after_code(self, result: bytes | None, error: BaseException | None) -> None:
        self.error = error
        if not self.future.done():
            self.future.set_result(result or b"")


def _enter(attempt: OpenAttempt) -> None:
    if current_try.get() is not None:
        current_try.set(None)  # this turn may have been begun from a step of another one
    current_attempt.set(attempt)


def _arguments(definition: Workflow, input_bytes: bytes) -> tuple[Any, ...]:
    try:
        value = payload.decode(input_bytes)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WorkflowError(f"the input is no JSON that can be read: {error}") from error
    if value is None and (definition.has_default or not definition.takes_input):
        return ()
    if not definition.takes_input:
        raise WorkflowError(f"workflow {definition.name!r} takes no input")
    return (value,)


def _root(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a task group; a single error in it stands for itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
