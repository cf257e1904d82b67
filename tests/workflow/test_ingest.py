"""Uploads of workflows: once, whoever runs them again, and their end is heard of whenever it comes."""

import uuid
from typing import Any

import pytest

from argosy import Context
from argosy.errors import (
    GraphInputError,
    OutcomeUnknownError,
    StepFailedError,
    UnavailableError,
    WaitTimeoutError,
    WorkflowError,
)
from argosy.ingest.job import key_of_turn
from argosy.names import is_key
from argosy.store.ingest import end_signal
from examples.remembering import filing
from tests.harness.memory_graphs import MemoryGraphs
from tests.workflow.list_journal import ListJournal
from tests.workflow.running import run

JOB = uuid.UUID(int=5)
RUNNING = {"job_id": str(JOB), "status": "running", "signal": end_signal(JOB)}
DONE = {"job_id": str(JOB), "status": "done", "code": "", "reason": "", "applied": 2, "rejected": 1}
PAPERS = [{"id": "p1", "text": "One."}, {"id": "p2", "text": "Two."}, {"id": "", "text": "None."}]
EXPECTED = "done: 2 applied, 1 rejected"


class MemoryIngests:
    """The jobs of a fleet that has one. failures: of starts that come first; is_ended: when it is looked at."""

    def __init__(self, *failures: Exception, is_ended: bool = False) -> None:
        self.failures = list(failures)
        self.is_ended = is_ended
        self.started: list[tuple[str, str, list[bytes], str]] = []

    async def start(self, tenant: str, graph: str, incarnation: uuid.UUID, lines: list[bytes], key: str) -> uuid.UUID:
        self.started.append((tenant, graph, lines, key))
        if self.failures:
            raise self.failures.pop(0)
        return JOB

    async def look(self, tenant: str, job_id: uuid.UUID, turn_id: uuid.UUID, lane: str) -> dict[str, Any]:
        if job_id != JOB:
            raise WorkflowError(f"there is no job {job_id}")
        return DONE if self.is_ended else RUNNING


def journal_of(ingests: MemoryIngests, rows: list[Any] | None = None) -> ListJournal:
    journal = ListJournal(rows, attempt=2 if rows else 1)
    journal.shards, journal.ingests = MemoryGraphs(), ingests
    return journal


async def test_a_workflow_waits_for_what_it_uploads() -> None:
    ingests = MemoryIngests()
    journal = journal_of(ingests)
    journal.signals = {end_signal(JOB): [DONE]}

    assert await run(filing, PAPERS, journal) == EXPECTED
    ((tenant, graph, lines, key),) = ingests.started
    assert (tenant, graph, len(lines), key) == ("default", "papers", 3, key_of_turn(journal.turn_id, "ingest:start"))
    assert not is_key(key)  # which a client could send


async def test_a_job_that_has_ended_is_not_waited_for() -> None:
    journal = journal_of(MemoryIngests(is_ended=True))

    assert await run(filing, PAPERS, journal) == EXPECTED
    assert journal.waits == []


@pytest.mark.parametrize("is_ended", [True, False])
async def test_code_that_runs_again_goes_on_from_any_part_of_its_history(is_ended: bool) -> None:
    whole = journal_of(MemoryIngests(is_ended=is_ended))
    whole.signals = {end_signal(JOB): [DONE]}
    await run(filing, PAPERS, whole)

    for cut in range(1, len(whole.rows)):
        ingests = MemoryIngests(is_ended=is_ended)
        journal = journal_of(ingests, whole.rows[:cut])
        journal.signals = {end_signal(JOB): [DONE]}
        assert await run(filing, PAPERS, journal) == EXPECTED
        assert {each[3] for each in ingests.started} <= {key_of_turn(whole.turn_id, "ingest:start")}


async def test_what_may_have_been_uploaded_is_uploaded_again_under_the_same_key() -> None:
    ingests = MemoryIngests(OutcomeUnknownError("no answer"), UnavailableError("the log is away"), is_ended=True)

    assert await run(filing, PAPERS, journal_of(ingests)) == EXPECTED
    assert len(ingests.started) == 3
    assert len({each[3] for each in ingests.started}) == 1


async def test_a_job_that_takes_too_long_is_waited_for_no_longer() -> None:
    async def waits(ctx: Context) -> str:
        try:
            await ctx.wait_ingest(str(JOB), timeout_s=5)
        except WaitTimeoutError:
            return "late"
        return "in time"

    assert await run(waits, None, journal_of(MemoryIngests())) == "late"


async def test_a_job_of_nobody_s_is_said() -> None:
    async def waits(ctx: Context) -> str:
        try:
            await ctx.wait_ingest(str(uuid.uuid4()))
        except StepFailedError as error:
            return error.error_type
        return ""

    assert await run(waits, None, journal_of(MemoryIngests())) == "WorkflowError"


async def test_what_is_no_json_is_refused_where_it_is_asked_for() -> None:
    async def starts(ctx: Context) -> str:
        with pytest.raises(GraphInputError):
            await ctx.start_ingest("papers", [{"op": object()}])
        with pytest.raises(WorkflowError, match="wait_ingest takes"):
            await ctx.wait_ingest("no id")
        return "refused"

    assert await run(starts, None, journal_of(MemoryIngests())) == "refused"
