"""A topic that no worker reads (any more): its job says so, and goes on when one does."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from argosy.ingest.job import LANE, JobKind, JobState, WaitsFor, key_of_topic
from argosy.store.ingest import NEWEST, Jobs
from argosy.store.ingest_notes import Note, Notes
from argosy.store.pool import Pool
from tests.store.job_hand import LOG, TENANT, Job, execute

LONG_AGO: Final = "UPDATE ingest_jobs SET changed_at = now() - interval '61 s'"


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
    return notes


async def topic(jobs: Jobs) -> Job:
    job = Job()
    await jobs.begin(job.new._replace(kind=JobKind.TOPIC, key=key_of_topic("orders")), LOG)
    return job


async def test_a_topic_of_which_nobody_has_said_anything_for_a_minute_waits_for_a_worker(
    jobs: Jobs, store_dsn: str
) -> None:
    job, upload = await topic(jobs), Job("other")
    await jobs.begin(upload.new, LOG)
    at_first = (await job.row(jobs)).waits_for
    await execute(store_dsn, LONG_AGO)

    found = {each.job_id: each.waits_for for each in await jobs.find_many([job.job_id, upload.job_id])}

    assert at_first is WaitsFor.NOTHING
    assert found == {job.job_id: WaitsFor.WORKER, upload.job_id: WaitsFor.NOTHING}
    assert [each.waits_for for each in await jobs.list(TENANT, "crm", NEWEST, 10)] == [WaitsFor.WORKER]
    assert (await job.row(jobs)).state is JobState.RUNNING  # workers that are away for a while must not end it


@pytest.mark.parametrize("waits_for", [WaitsFor.NOTHING, WaitsFor.SHARD])
async def test_one_that_is_read_says_so_whether_or_not_there_is_anything_to_count(
    jobs: Jobs, notes: Notes, store_dsn: str, waits_for: WaitsFor
) -> None:
    job = await topic(jobs)
    await notes.say(Note(jobs=[job.note(5)]))
    for said in (
        job.note(5, waits_for=waits_for),
        job.note(None, waits_for=waits_for),
        job.note(None, waits_for=waits_for),
    ):
        await execute(store_dsn, LONG_AGO)
        await notes.say(Note(jobs=[said]))
        assert (await job.row(jobs)).waits_for is waits_for


async def test_what_it_waited_for_last_holds_no_more_when_nobody_reads_it(
    jobs: Jobs, notes: Notes, store_dsn: str
) -> None:
    job = await topic(jobs)
    await notes.say(Note(jobs=[job.note(None, waits_for=WaitsFor.SHARD)]))
    await execute(store_dsn, LONG_AGO)
    unread = (await job.row(jobs)).waits_for
    await jobs.cancel(job.job_id, TENANT)
    await execute(store_dsn, LONG_AGO)

    assert (unread, (await job.row(jobs)).waits_for) == (WaitsFor.WORKER, WaitsFor.NOTHING)
