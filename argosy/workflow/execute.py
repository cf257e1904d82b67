"""Runs a workflow from its input to its result, against a journal."""

import asyncio
import random as randomness
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow import payload
from argosy.workflow.context import Context
from argosy.workflow.current import current_attempt, current_try
from argosy.workflow.definition import TIMEOUT_S_MAX, Workflow
from argosy.workflow.driver import Driver
from argosy.workflow.journal import Journal
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.step_runner import Limits, StepRunner
from argosy.workflow.sync_context import OwnThread
from argosy.workflow.threads import Threads


async def execute(
    definition: Workflow,
    journal: Journal,
    input_bytes: bytes,
    *,
    threads: Threads,
    payload_size_bytes_max: int,
    step_timeout_s_max: float = TIMEOUT_S_MAX,
    random: Callable[[], float] = randomness.random,
) -> bytes:
    """The result of the workflow, as JSON bytes. When this returns or raises, nothing of the workflow runs any more,
    but threads that cannot be stopped; they can record nothing.

    input_bytes: JSON. threads: for what is synchronous. Raises what the workflow raises; Park; OwnershipLostError;
    EncodingError and PayloadTooLargeError when the result cannot be recorded; CancelledError when it is cancelled.
    """
    arguments = _arguments(definition, input_bytes)
    attempt = OpenAttempt(journal)
    variables = copy_context()
    variables.run(current_try.set, None)  # whatever began this turn is not a step of it
    variables.run(current_attempt.set, attempt)
    journal.open(attempt)
    runner = StepRunner(journal, attempt, threads.steps, Limits(payload_size_bytes_max, step_timeout_s_max), random)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    driver = Driver(journal, runner, attempt, partial(_tell, done))
    context = Context(journal, driver)
    thread: OwnThread | None = None
    try:
        if definition.is_async:
            code = definition.function(context, *arguments)
        else:
            thread = variables.run(OwnThread, definition.function, context, driver, arguments, threads.workflows)
            code = thread.code()
        driver.begin(code, variables)
        await done
        if driver.error is not None:
            raise driver.error
        return payload.encode(driver.result, payload_size_bytes_max, "the result of the workflow")[0]
    except BaseExceptionGroup as group:
        raise _root(group) from group
    finally:
        await driver.close()
        if thread is not None:
            await thread.close()


def _tell(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)


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
    """What a task group failed of: one error alone stands for itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
