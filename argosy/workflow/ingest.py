"""`ctx.start_ingest` and `ctx.wait_ingest`: an upload of a workflow, and the end of a job.

- An upload is a step, of whose own key the upload's is made: whoever runs it again after a crash uploads the same lines
  under the same key. That is one job, and each line is applied once.
- To wait is a step, which asks how the job is and has its end sent to the turn, and a wait for that signal, unless the
  job has ended. An end that comes between the two is found by the wait.
"""

import uuid
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

import msgspec

from argosy.errors import GraphInputError, OutcomeUnknownError, WorkflowError
from argosy.ingest.job import key_of_turn
from argosy.turn.keys import INGEST
from argosy.turn.wait import WaitKind
from argosy.workflow.definition import Step
from argosy.workflow.driver import Driver
from argosy.workflow.graph_away import told_to_tenants
from argosy.workflow.graph_calls import checked
from argosy.workflow.journal import Journal
from argosy.workflow.operation import StepOperation, WaitOperation
from argosy.workflow.retry import AWAY_BACKOFF_S, RetryPolicy

_FOR_EVER: Final = 2**31  # tries
_encode = msgspec.json.Encoder().encode


def _step(name: str) -> Step:
    policy = RetryPolicy(_FOR_EVER, AWAY_BACKOFF_S, retry_on=(OutcomeUnknownError,))
    return Step(INGEST + name, True, True, None, "idempotent", policy, False, b"")


_START: Final = _step("start")
_LOOK: Final = _step("look")


class IngestCalls:
    """Uploads and waits of a workflow."""

    __slots__ = ("_driver", "_journal")

    def __init__(self, journal: Journal, driver: Driver) -> None:
        self._journal = journal
        self._driver = driver

    def start(self, graph: str | None, lines: Iterable[Mapping[str, Any]]) -> Coroutine[Any, Any, str]:
        """Upload lines to a graph. Raises GraphInputError when one is no JSON, or the name cannot be."""
        name, text = checked(graph), _text_of(lines)
        key = self._driver.ask(_START.name)
        start = _Start(self._journal, key)
        return StepOperation(self._driver.operations, key, _START, start, (name, text), {})

    def wait(self, job: str, timeout_s: float | None) -> Coroutine[Any, Any, dict[str, Any]]:
        """Wait until a job has ended. Raises WorkflowError when that is the id of no job."""
        job_id, driver = _job_id(job), self._driver
        key = driver.ask(_LOOK.name)
        look = StepOperation(driver.operations, key, _LOOK, _Look(self._journal), (str(job_id),), {})
        return _ended(look, driver, timeout_s)


async def _ended(look: StepOperation, driver: Driver, timeout_s: float | None) -> dict[str, Any]:
    seen: dict[str, Any] = await look
    if seen["status"] != "running":
        return seen
    signal = seen["signal"]
    key = driver.ask(f"signal:{signal}")
    ended: dict[str, Any] = await WaitOperation(driver.operations, key, WaitKind.SIGNAL, signal, timeout_s)
    return ended


class _Start:
    """The upload; its tries call it. key: of the operation."""

    __slots__ = ("_journal", "_key")

    def __init__(self, journal: Journal, key: str) -> None:
        self._journal = journal
        self._key = key

    async def __call__(self, graph: str | None, text: str) -> str:
        with told_to_tenants():
            key = key_of_turn(self._journal.turn_id, self._key)
            return str(await self._journal.graphs().start_ingest(graph, text.encode(), key))


class _Look:
    """The look at a job; its tries call it."""

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def __call__(self, job: str) -> dict[str, Any]:
        with told_to_tenants():
            return await self._journal.graphs().look_at_ingest(uuid.UUID(job), self._journal.turn_id)


def _text_of(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return lines as NDJSON. What each asks for is looked at where it is applied."""
    try:
        return "\n".join(_encode(line).decode() for line in lines)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise GraphInputError(f"lines: {error}") from None


def _job_id(job: Any) -> uuid.UUID:
    try:
        return uuid.UUID(job)
    except (TypeError, ValueError, AttributeError):
        raise WorkflowError(f"ctx.wait_ingest takes what ctx.start_ingest returned, not {job!r:.80}") from None
