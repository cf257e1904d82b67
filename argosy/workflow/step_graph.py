"""`argosy.graph`, with which a step reads a graph."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from argosy.errors import WorkflowError
from argosy.process import fork
from argosy.workflow.current import Try, current_try
from argosy.workflow.graph import Graph, SyncGraph
from argosy.workflow.graph_calls import checked
from argosy.workflow.graph_reads import read

Result = TypeVar("Result")


def graph(name: str | None = None) -> Any:
    """Return a graph of the tenant that the step may read: a Graph, or a SyncGraph in a synchronous step.

    name: None: the session's own. What is read is not recorded: the step's result is. Raises WorkflowError outside a
    step. A step does not write: what it would write is recorded first, and that is the workflow's (ctx.graph). Reads
    raise GraphAwayError while the graph cannot be asked; a step that ends with it is tried again when it can, whatever
    retries it has, unless it is at_most_once.
    """
    this = current_try.get()
    if this is None:
        raise WorkflowError("argosy.graph() works inside a step; a workflow uses ctx.graph()")
    found = Graph(_StepCalls(this, checked(name)))
    if asyncio._get_running_loop() is not None:
        return found
    return SyncGraph(found, _Thread(this))


class _StepCalls:
    """The GraphCalls (argosy/workflow/graph.py) of a try of a step."""

    __slots__ = ("_name", "_this")

    def __init__(self, this: Try, name: str | None) -> None:
        self._this = this
        self._name = name

    async def read(self, name: str, asked: dict[str, Any]) -> Any:
        this = self._this
        return await read(this.attempt.graphs(this), self._name, name, asked)

    def write(self, ops: str) -> NoReturn:
        raise WorkflowError(
            "a step writes to no graph, because a write is recorded first: return what is to be written, and write it "
            "in the workflow (ctx.graph)"
        )


class _Thread:
    """Runs reads for a thread that runs a try of a synchronous step."""

    __slots__ = ("_this",)

    def __init__(self, this: Try) -> None:
        self._this = this

    def block(self, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        lane = self._this.attempt.graphs(self._this).lane
        if lane.fork_depth != fork.depth:
            raise WorkflowError("a forked child reads no graph: its worker's loop is not in it")
        return asyncio.run_coroutine_threadsafe(operation(), lane.loop).result()
