"""What workers of ingest say, in any order, however often and late: facts of files grow, and a job ends once."""

import itertools
import uuid
from collections.abc import AsyncIterator

import pytest

from argosy.errors import OwnershipLostError
from argosy.ingest.job import LANE, JobEventType, JobState, WaitsFor
from argosy.store.ingest import Jobs
from argosy.store.ingest_notes import DeadRecord, Note, Notes, Verdict
from argosy.store.pool import Pool
from tests.store.job_hand import LOG, TENANT, Job, ago, chain_at, execute, passed
from tests.store.test_ingest_jobs import types_of


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 4, 30.0)
    yield pool
    await pool.close()


@pytest.fixture
def jobs(pool: Pool) -> Jobs:
    return Jobs(pool)


@pytest.fixture
async def notes(pool: Pool) -> Notes:
    notes = Notes(pool, LANE, rejects_max=5)
    notes.log_id = LOG
    await notes.begin()
    await notes.open_positions({0: 0, 1: 0})
    return notes


async def test_a_position_moves_on_from_where_somebody_had_come_to(notes: Notes) -> None:
    first = await notes.say(Note(passed=[passed(0, 10), passed(0, 4, partition=1)]))
    late = await notes.say(Note(passed=[passed(0, 7)]))
    next_ = await notes.say(Note(passed=[passed(10, 20)]))
    with_a_hole = await notes.say(Note(passed=[passed(9, 30, partition=1)]))

    assert (first.positions, late.positions, next_.positions) == ({0: 10, 1: 4}, {0: 10}, {0: 20})
    assert with_a_hole.positions == {1: 4}
    assert await notes.open_positions({0: 0, 1: 0}) == {0: 20, 1: 4}


async def test_a_position_that_was_set_back_is_told(notes: Notes) -> None:
    await notes.say(Note(passed=[passed(0, 10)]))

    await notes.reset(0, 9, 0)  # from where nobody is
    await notes.reset(0, 10, 3)

    assert (await notes.say(Note(passed=[passed(10, 12)]))).positions == {0: 3}


async def test_what_a_file_had_only_grows_in_whatever_order_it_is_said(notes: Notes, jobs: Jobs) -> None:
    for order in itertools.permutations((3, 9, 6)):
        job = Job()
        await jobs.begin(job.new, LOG)

        for through in order:
            await notes.say(Note(jobs=[job.note(through)]))

        row = await job.row(jobs)
        assert (row.next_line, row.next_chain, row.applied) == (10, chain_at(9), 9)
        assert row.received_line == 9


async def test_a_job_is_done_once_with_its_counts(notes: Notes, jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    note = Note(
        jobs=[job.note(10, rejected=1, end=10, verdict=Verdict.DONE)], rejects=[job.reject(4)], passed=[passed(0, 2)]
    )

    said = [await notes.say(note) for _ in range(2)]

    assert [each.states for each in said] == [{job.job_id: JobState.DONE}] * 2
    row = await job.row(jobs)
    assert (row.applied, row.rejected, row.rejects_kept, row.end_line) == (9, 1, 1, 10)
    assert [each.line for each in await jobs.rejects(job.job_id, TENANT, (0, 0), 10)] == [4]
    assert await types_of(jobs, job) == [
        JobEventType.STARTED, JobEventType.REJECTING, JobEventType.UPLOADED, JobEventType.DONE,
    ]  # fmt: skip


async def test_what_is_said_of_an_ended_job_is_only_its_counts(notes: Notes, jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    await notes.say(Note(jobs=[job.note(5)]))
    await jobs.cancel(job.job_id, TENANT)

    said = await notes.say(Note(jobs=[job.note(9, waits_for=WaitsFor.SHARD, end=9, verdict=Verdict.DONE)]))
    await notes.say(Note(jobs=[job.note(7, verdict=Verdict.FAILED, code="expired")]))

    assert said.states == {job.job_id: JobState.CANCELLED}
    row = await job.row(jobs)
    assert (row.state, row.next_line, row.waits_for, row.end_line) == (JobState.CANCELLED, 10, "", None)


async def test_rejects_are_bounded_and_none_is_there_twice(notes: Notes, jobs: Jobs) -> None:
    job = Job()
    rejects = [job.reject(line) for line in range(1, 9)]

    for few in (rejects[:3], rejects[:4], rejects):
        await notes.say(Note(jobs=[job.note(8, rejected=8)], rejects=few))

    row = await job.row(jobs)
    assert [each.line for each in await jobs.rejects(job.job_id, TENANT, (0, 0), 10)] == [1, 2, 3, 4, 5]
    assert (row.rejected, row.rejects_kept) == (8, 5)


async def test_a_job_without_a_row_is_made_from_its_records(notes: Notes, jobs: Jobs) -> None:
    job = Job()

    await notes.say(Note(jobs=[job.note(5)]))
    begun = await jobs.begin(job.new, LOG)

    assert (begun.received_line, begun.received_chain, begun.idempotency_key) == (5, chain_at(5), "key")


async def test_waiting_is_said_once_and_ends(notes: Notes, jobs: Jobs) -> None:
    job = Job()

    for waits_for in (WaitsFor.SHARD, WaitsFor.SHARD, None, WaitsFor.NOTHING):
        await notes.say(Note(jobs=[job.note(None, waits_for=waits_for)]))

    assert await types_of(jobs, job) == [JobEventType.STARTED, JobEventType.WAITING, JobEventType.RESUMED]


async def test_an_end_whose_lines_are_nowhere_lets_the_upload_go_on_from_the_file(notes: Notes, jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    await jobs.note_received(job.job_id, LOG, 10, chain_at(10), 100, is_end=True)

    for _ in range(2):
        await notes.say(Note(jobs=[job.note(4, end=10, verdict=Verdict.LOST, waits_for=None)]))

    row = await job.row(jobs)
    assert (row.received_line, row.received_chain, row.end_line) == (4, chain_at(4), None)
    assert row.waits_for is WaitsFor.UPLOAD
    assert (await types_of(jobs, job))[-1] is JobEventType.LOST


async def test_lines_that_the_log_was_read_beyond_are_lost(notes: Notes, jobs: Jobs, store_dsn: str) -> None:
    lost, whole, fresh = Job(), Job(), Job()
    for each in (lost, whole, fresh):
        await jobs.begin(each.new, LOG)
        await jobs.note_received(each.job_id, LOG, 10, chain_at(10), 100, is_end=False)
    await notes.say(Note(jobs=[lost.note(4), whole.note(10)]))
    await execute(store_dsn, "UPDATE ingest_jobs SET received_at = $1 WHERE job_id <> $2", ago(300), fresh.job_id)

    before = await notes.lost([0], 1)
    await notes.say(Note(passed=[passed(0, 50, age_s=0.0)]))
    after = [await notes.lost([0], 1) for _ in range(2)]

    assert (before, after) == (0, [1, 0])
    assert (await lost.row(jobs)).received_line == 4
    assert [(await each.row(jobs)).received_line for each in (whole, fresh)] == [10, 10]


async def test_lines_of_a_replaced_log_are_lost(pool: Pool, jobs: Jobs, store_dsn: str) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    await jobs.note_received(job.job_id, LOG, 10, chain_at(10), 100, is_end=True)
    await execute(store_dsn, "UPDATE ingest_jobs SET received_at = $1", ago(300))
    notes = Notes(pool, LANE, rejects_max=5)
    notes.log_id = "cluster/made-again"
    await notes.begin()
    await notes.open_positions({0: 0})

    assert await notes.lost([0], 1) == 1

    row = await job.row(jobs)
    assert (row.log_id, row.received_line, row.waits_for) == ("cluster/made-again", 0, "upload")


async def test_jobs_of_dropped_graphs_end(notes: Notes, jobs: Jobs, store_dsn: str) -> None:
    job, dropped = Job("stays"), Job("goes")
    shard = uuid.uuid4()
    await execute(store_dsn, "INSERT INTO shards (member_id, endpoint) VALUES ($1, 'tcp://one:1')", shard)
    for each in (job, dropped):
        await jobs.begin(each.new, LOG)
        await execute(
            store_dsn,
            "INSERT INTO graphs (tenant, graph, incarnation, shard, state) VALUES ($1, $2, $3, $4, 'active')",
            TENANT, each.graph, each.incarnation, shard,
        )  # fmt: skip
    await execute(store_dsn, "UPDATE graphs SET incarnation = $1 WHERE graph = 'goes'", uuid.uuid4())

    assert await notes.end_dropped([0, 1], 2) == 1

    assert (await dropped.row(jobs)).code == "graph_dropped"
    assert (await job.row(jobs)).state is JobState.RUNNING


async def test_nothing_is_said_of_a_database_that_went_back(notes: Notes, jobs: Jobs, store_dsn: str) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    await execute(store_dsn, "UPDATE lineages SET restores = restores + 1")

    with pytest.raises(OwnershipLostError):
        await notes.say(Note(passed=[passed(0, 10)], jobs=[job.note(5)]))

    assert await notes.open_positions({0: 0}) == {0: 0}
    assert (await job.row(jobs)).next_line == 1
    await notes.begin()
    assert (await notes.say(Note(passed=[passed(0, 10)]))).positions == {0: 10}


async def test_records_that_cannot_be_decoded_are_kept(notes: Notes, pool: Pool) -> None:
    dead = DeadRecord(0, 3, b"\xff", "record_undecodable", "it is empty")

    for _ in range(2):
        await notes.say(Note(passed=[passed(0, 4)], dead=[dead]))

    rows = await pool.fetch("SELECT lane, position, value FROM argosy.dead_letters")
    assert [tuple(row) for row in rows] == [(LANE, 3, b"\xff")]


@pytest.mark.parametrize("other", [Verdict.FAILED, Verdict.LOST, Verdict.DONE])
@pytest.mark.parametrize("is_at_once", [True, False])
async def test_the_end_of_another_upload_under_the_key_says_nothing_of_the_job(
    notes: Notes, jobs: Jobs, other: Verdict, is_at_once: bool
) -> None:
    """The log has the ends of both, and the one whose end the row has was answered 202."""
    job = Job()
    await jobs.begin(job.new, LOG)
    await jobs.note_received(job.job_id, LOG, 10, chain_at(10), 1_000, is_end=True)
    said = [
        job.note(10, end=12, verdict=other, code="idempotency_mismatch"),
        job.note(10, end=10, verdict=Verdict.DONE),
    ]

    for part in [said] if is_at_once else [[each] for each in said]:
        noted = await notes.say(Note(jobs=part))

    assert noted.states == {job.job_id: JobState.DONE}
    assert ((await job.row(jobs)).end_line, (await job.row(jobs)).code) == (10, "")
    assert await types_of(jobs, job) == [JobEventType.STARTED, JobEventType.UPLOADED, JobEventType.DONE]


async def test_the_first_end_that_is_known_is_that_of_the_job(notes: Notes, jobs: Jobs) -> None:
    """Neither gateway has answered: the job fails by the end that was read, and so the other upload is refused."""
    job = Job()
    await jobs.begin(job.new, LOG)

    await notes.say(Note(jobs=[job.note(10, end=12, verdict=Verdict.FAILED, code="idempotency_mismatch")]))
    is_running = await jobs.note_received(job.job_id, LOG, 10, chain_at(10), 1_000, is_end=True)

    row = await job.row(jobs)
    assert (row.state, row.end_line, is_running) == (JobState.FAILED, 12, False)
