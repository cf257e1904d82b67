"""Runs a workflow from its input to its result, against a journal."""

import random as randomness
from collections.abc import Callable
from typing import Any

import msgspec

from argosy.errors import OwnershipLostError, WorkflowError
from argosy.workflow import payload
from argosy.workflow.context import Context
from argosy.workflow.current import current_attempt, current_try
from argosy.workflow.definition import TIMEOUT_S_MAX, Workflow
from argosy.workflow.journal import Journal, Park
from argosy.workflow.open_attempt import OpenAttempt
from argosy.workflow.step_runner import Limits, StepRunner
from argosy.workflow.sync_context import run_in_own_thread
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
    current_try.set(None)  # whatever started this task is not a step of this turn
    arguments = _arguments(definition, input_bytes)
    open_attempt = OpenAttempt(journal)
    current_attempt.set(open_attempt)
    journal.open(open_attempt)
    runner = StepRunner(
        journal, open_attempt, threads.steps, Limits(payload_size_bytes_max, step_timeout_s_max), random
    )
    context = Context(journal, runner, open_attempt)
    try:
        if definition.is_async:
            result = await definition.function(context, *arguments)
        else:
            result = await run_in_own_thread(definition.function, context, arguments, threads.workflows)
    except BaseExceptionGroup as group:
        raise _root(group) from group
    finally:
        await context.close()
    return payload.encode(result, payload_size_bytes_max, "the result of the workflow")[0]


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
    """What a task group failed of: a reason to stop the turn wins, one error alone stands for itself."""
    for kind in (Park, OwnershipLostError):
        found = group.subgroup(kind)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]  # type: ignore[assignment]
        if found is not None:
            return found
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
