"""Reads and writes of a graph as operations of a workflow: steps that wait for a shard for as long as their turn lives.

A read is recorded as the result of a step is. A write is recorded before it is applied, too
(argosy/workflow/graph_write.py).
"""

from collections.abc import Coroutine
from typing import Any, Final

from argosy.errors import (
    GraphConditionError,
    GraphDeadlineError,
    GraphInputError,
    OutcomeUnknownError,
    UnavailableError,
    ViewLostError,
)
from argosy.graph.ops import fault_of_name
from argosy.workflow.definition import Step
from argosy.workflow.driver import Driver
from argosy.workflow.graph_reads import READS, read
from argosy.workflow.graph_write import GraphWrite
from argosy.workflow.journal import Journal
from argosy.workflow.keys import GRAPH
from argosy.workflow.operation import StepOperation
from argosy.workflow.retry import ExceptionTypes, RetryPolicy

_FOR_EVER: Final = 2**31  # tries
# A shard that was started again is asked again within a minute, and one that is away for a day leaves a few thousand
# of the EVENTS_PER_TURN_MAX events.
_BACKOFF_S: Final = 0.5
_BACKOFF_S_MAX: Final = 60.0


def _step(name: str, retry_on: ExceptionTypes, no_retry_on: ExceptionTypes = ()) -> Step:
    policy = RetryPolicy(_FOR_EVER, _BACKOFF_S, _BACKOFF_S_MAX, retry_on, no_retry_on)
    return Step(GRAPH + name, True, True, None, "idempotent", policy, False, b"")


# A write that may have taken effect is sent again under its key. A read that is too much for its deadline, or that ends
# what answers it, would be so again.
_WRITE: Final = _step("write", (UnavailableError, GraphDeadlineError, OutcomeUnknownError))
_READS: Final = {name: _step(name, (UnavailableError, OutcomeUnknownError), (ViewLostError,)) for name in READS}


class WorkflowCalls:
    """The GraphCalls (argosy/workflow/graph.py) of a workflow. name: of the graph; None: the session's own."""

    __slots__ = ("_driver", "_journal", "_name")

    def __init__(self, journal: Journal, driver: Driver, name: str | None) -> None:
        self._journal = journal
        self._driver = driver
        self._name = checked(name)

    def read(self, name: str, asked: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        journal, step = self._journal, _READS[name]

        async def tried(graph: str | None, asked: dict[str, Any]) -> Any:
            return await read(journal.graphs(), graph, name, asked)

        driver = self._driver
        return StepOperation(driver.operations, driver.ask(step.name), step, tried, (self._name, asked), {})

    def write(self, ops: str) -> Coroutine[Any, Any, int]:
        driver = self._driver
        key = driver.ask(_WRITE.name)
        write = GraphWrite(self._journal, key)
        return _version_of(StepOperation(driver.operations, key, _WRITE, write, (self._name, ops), {}))


async def _version_of(write: StepOperation) -> int:
    """Return the version that a write made. Raises GraphConditionError when it was refused."""
    applied = await write
    if not applied["version"]:
        raise GraphConditionError(applied["failed"], applied["reason"])
    return int(applied["version"])


def checked(name: Any) -> str | None:
    """Return the name of a graph, or None for the session's own. Raises GraphInputError when it is not valid."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise GraphInputError(f"the name of a graph is a text, not {type(name).__name__}")
    if fault := fault_of_name(name):
        raise GraphInputError(f"the name of a graph {fault}")
    return name
