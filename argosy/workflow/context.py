"""`ctx`: the durable operations of a workflow.

Each operation has a key (argosy/turn/keys.py): its name, and from its second call on #2, #3, … in the order of the
*calls*. Each task of the workflow counts its calls for itself. The outcome of an operation is recorded once, under its
key; when the workflow runs again, the operation does nothing and returns (or raises) the recorded outcome.
"""

import math
import uuid as uuids
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar, overload

from argosy.errors import WorkflowError
from argosy.identity.turn_principal import TurnPrincipal
from argosy.turn.wait import WaitKind
from argosy.workflow.declared_name import check_signal_name
from argosy.workflow.definition import STEP, Step, step_of
from argosy.workflow.driver import Driver
from argosy.workflow.graph import Graph
from argosy.workflow.graph_calls import WorkflowCalls
from argosy.workflow.ingest import IngestCalls
from argosy.workflow.journal import Journal
from argosy.workflow.operation import StepOperation, ValueOperation, WaitOperation

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

WAIT_S_MAX: Final = 366 * 86_400.0  # a year, as for deadlines (names.py)


class Context:
    """One attempt of a turn, as its workflow sees it. Used from the workflow's own tasks only."""

    __slots__ = ("_driver", "_journal")

    def __init__(self, journal: Journal, driver: Driver) -> None:
        self._journal = journal
        self._driver = driver

    @property
    def turn_id(self) -> uuids.UUID:
        return self._journal.turn_id

    @property
    def session(self) -> str:
        """The name of the turn's session."""
        return self._journal.session

    @property
    def tenant(self) -> str:
        return self._journal.tenant

    @property
    def principal(self) -> TurnPrincipal | None:
        """Who posted the turn, the same in every attempt; a turn that another turn started has that one's. None: it is
        not known.
        """
        return self._journal.principal

    @property
    def attempt(self) -> int:
        """The number of the turn's attempt, from 1; every re-execution raises it. A replay may see another number: do
        not branch on it.
        """
        return self._journal.attempt

    @overload
    def run(
        self, step: Callable[Parameters, Awaitable[Result]], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]: ...
    @overload
    def run(
        self, step: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]: ...
    def run(self, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Run a step (or an undecorated function, as a step with every default) and return its result.

        The result is what JSON gives back: a tuple is a list. Synchronous steps run in a thread. The step gets copies
        of its arguments. Raises StepFailedError when the step failed for good: its message is the error's, error_type
        the name of the error's class.
        """
        declared = getattr(step, STEP, None)
        if declared.__class__ is not Step:
            declared = step_of(step)
        driver = self._driver
        return StepOperation(driver.operations, driver.ask(declared.name), declared, step, args, kwargs)

    def sleep(self, delay_s: float) -> Coroutine[Any, Any, None]:
        """Wait delay_s seconds (0 to 366 days) by the database's clock; the turn holds no slot meanwhile."""
        delay_s = _check_wait_s("sleep", delay_s)
        driver = self._driver
        return WaitOperation(driver.operations, driver.ask("sleep"), WaitKind.SLEEP, "", delay_s)

    def wait_signal(self, name: str, timeout_s: float | None = None) -> Coroutine[Any, Any, Any]:
        """Wait for the next signal `name` that is sent to this turn, and return its payload.

        A signal that came before is taken at once. The turn holds no slot while it waits. timeout_s: 0 to 366 days;
        None: for ever. Raises WaitTimeoutError when no signal came in time.
        """
        if timeout_s is not None:
            timeout_s = _check_wait_s("wait_signal", timeout_s)
        driver = self._driver
        key = driver.ask(f"signal:{check_signal_name(name)}")
        return WaitOperation(driver.operations, key, WaitKind.SIGNAL, name, timeout_s)

    def now(self) -> Coroutine[Any, Any, datetime]:
        """Return the time at which the workflow first made this call, by the database's clock, in UTC."""
        driver = self._driver
        return ValueOperation(driver.operations, driver.ask("now"), self._make_now, datetime.fromisoformat)

    def uuid(self) -> Coroutine[Any, Any, uuids.UUID]:
        """Return a random UUID (version 4), the same in every replay."""
        driver = self._driver
        return ValueOperation(driver.operations, driver.ask("uuid"), _make_uuid, uuids.UUID)

    def graph(self, name: str | None = None) -> Graph:
        """Return a graph of the tenant, by its name; None: the session's own, which is made when it is first used and
        goes with the session. Another one is made by the first write to it.
        """
        return Graph(WorkflowCalls(self._journal, self._driver, name))

    def start_ingest(self, graph: str | None, lines: Iterable[Mapping[str, Any]]) -> Coroutine[Any, Any, str]:
        """Upload lines to a graph of the tenant (None: the session's own), and return the id of the job that applies
        them, each for itself: operations and documents, {"op": …}, in the shapes that REST takes.

        They are uploaded once, whatever happens to the worker; lines that cannot be applied are rejected, and counted.
        For more than PAYLOAD_SIZE_BYTES_MAX of them, upload from outside.
        """
        return IngestCalls(self._journal, self._driver).start(graph, lines)

    def wait_ingest(self, job: str, timeout_s: float | None = None) -> Coroutine[Any, Any, dict[str, Any]]:
        """Wait until a job of the tenant has ended, and return how: {"job_id", "status", "code", "reason", "applied",
        "rejected"}. status: "done", "failed" or "cancelled"; what is done can be read.

        The turn holds no slot while it waits. timeout_s: as for wait_signal. Raises WaitTimeoutError.
        """
        if timeout_s is not None:
            timeout_s = _check_wait_s("wait_ingest", timeout_s)
        return IngestCalls(self._journal, self._driver).wait(job, timeout_s)

    def _make_now(self) -> str:
        return datetime.fromtimestamp(self._journal.database_time_s(), UTC).isoformat()


def _make_uuid() -> str:
    return str(uuids.uuid4())


def _check_wait_s(operation: str, wait_s: Any) -> float:
    is_number = isinstance(wait_s, (int, float)) and not isinstance(wait_s, bool)
    if not is_number or not math.isfinite(wait_s) or not 0 <= wait_s <= WAIT_S_MAX:
        raise WorkflowError(f"ctx.{operation} takes seconds from 0 to {WAIT_S_MAX:.0f}, not {wait_s!r:.80}")
    return float(wait_s)
