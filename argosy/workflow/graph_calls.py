"""Reads and writes of a graph as operations of a workflow: steps that wait for a shard for as long as their turn lives.

A read is recorded as the result of a step is. A write is recorded before it is applied, too
(argosy/workflow/graph_write.py).
"""

from collections.abc import Coroutine
from typing import Any, Final

from argosy.errors import (
    EmbedderError,
    GraphConditionError,
    GraphDeadlineError,
    GraphInputError,
    GraphNameError,
    OutcomeUnknownError,
    ViewLostError,
)
from argosy.graph.names import fault_of_new
from argosy.turn.keys import GRAPH
from argosy.workflow.definition import Step
from argosy.workflow.driver import Driver
from argosy.workflow.graph_reads import READS, read
from argosy.workflow.graph_write import GraphWrite
from argosy.workflow.journal import Journal
from argosy.workflow.operation import StepOperation
from argosy.workflow.overruns import Overruns
from argosy.workflow.retry import AWAY_BACKOFF_S, ExceptionTypes, RetryPolicy

_FOR_EVER: Final = 2**31  # tries


def _step(name: str, retry_on: ExceptionTypes) -> Step:
    policy = RetryPolicy(_FOR_EVER, AWAY_BACKOFF_S, retry_on=retry_on)
    return Step(GRAPH + name, True, True, None, "idempotent", policy, False, b"")


# A write that may have taken effect is sent again under its key. GraphAwayError is not among them: no step spends
# retries on it (step_runner.py).
_WRITE: Final = _step("write", (GraphDeadlineError, OutcomeUnknownError, EmbedderError))
_OVERRUNS: Final = (GraphDeadlineError, ViewLostError, EmbedderError)
_READS: Final = {name: _step(name, _OVERRUNS) for name in READS}


class WorkflowCalls:
    """The GraphCalls (argosy/workflow/graph.py) of a workflow. name: of the graph; None: the session's own."""

    __slots__ = ("_driver", "_journal", "_name")

    def __init__(self, journal: Journal, driver: Driver, name: str | None) -> None:
        self._journal = journal
        self._driver = driver
        self._name = checked(name)

    def read(self, name: str, asked: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        driver, step = self._driver, _READS[name]
        key = driver.ask(step.name)
        read = _Read(self._journal, key, name)
        return StepOperation(driver.operations, key, step, read, (self._name, asked), {})

    def write(self, ops: str) -> Coroutine[Any, Any, int]:
        driver = self._driver
        key = driver.ask(_WRITE.name)
        write = GraphWrite(self._journal, key)
        return _version_of(StepOperation(driver.operations, key, _WRITE, write, (self._name, ops), {}))


class _Read:
    """One read of an attempt; its tries call it. key: of the operation; name: of the read."""

    __slots__ = ("_journal", "_name", "_overruns")

    def __init__(self, journal: Journal, key: str, name: str) -> None:
        self._journal = journal
        self._name = name
        self._overruns = Overruns(journal, key, _OVERRUNS)

    async def __call__(self, graph: str | None, asked: dict[str, Any]) -> Any:
        try:
            return await read(self._journal.graphs(), graph, self._name, asked)
        except _OVERRUNS as error:
            self._overruns.take(error)


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
    if fault := fault_of_new(name):
        raise GraphNameError(f"the name of a graph {fault}")
    return name
