"""A topic that was made again under its name, or is read by another job: the job of before ends, and no other."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from argosy.ingest.job import JobEventType, JobKind, JobState, key_of_topic
from argosy.store.ingest import Jobs
from argosy.store.pool import Pool
from tests.store.job_hand import TENANT, Job

OLD, NEW = "cluster/old", "cluster/new"


@pytest.fixture
async def jobs(store_dsn: str) -> AsyncIterator[Jobs]:
    pool = Pool(store_dsn, 4, 30.0)
    yield Jobs(pool)
    await pool.close()


async def begun(jobs: Jobs, job: Job, log_id: str, topic: str = "orders", kind: JobKind = JobKind.TOPIC) -> Job:
    await jobs.begin(job.new._replace(kind=kind, key=key_of_topic(topic)), log_id)
    return job


async def test_the_job_of_a_topic_that_was_made_again_ends_and_says_why(jobs: Jobs) -> None:
    old = await begun(jobs, Job(), OLD)
    new = await begun(jobs, Job(incarnation=old.incarnation), NEW)

    ended = await asyncio.gather(*(jobs.end_replaced(new.job_id) for _ in range(3)))

    assert [each.job_id for rows in ended for each in rows] == [old.job_id]
    row = await old.row(jobs)
    assert (row.state, row.code) == (JobState.FAILED, "topic_replaced")
    assert f"job {new.job_id} reads that" in row.reason
    *_, last = await jobs.events(old.job_id, TENANT, 0, 100)
    assert (last.type, json.loads(last.data)["reason"]) == (JobEventType.FAILED, row.reason)
    assert (await new.row(jobs)).state is JobState.RUNNING


async def test_who_still_sees_the_topic_as_it_was_ends_nothing(jobs: Jobs) -> None:
    old = await begun(jobs, Job(), OLD)
    new = await begun(jobs, Job(incarnation=old.incarnation), NEW)

    assert await jobs.end_replaced(old.job_id) == []
    assert (await new.row(jobs)).state is JobState.RUNNING


async def test_what_has_ended_stays_as_it_ended(jobs: Jobs) -> None:
    old = await begun(jobs, Job(), OLD)
    await jobs.cancel(old.job_id, TENANT)
    new = await begun(jobs, Job(incarnation=old.incarnation), NEW)

    assert await jobs.end_replaced(new.job_id) == []
    assert (await old.row(jobs)).state is JobState.CANCELLED


async def test_a_job_of_another_run_ends_once_its_successor_goes_on_there(jobs: Jobs) -> None:
    """`run` was changed in INGEST_TOPICS, and nobody cancelled the job of before: nobody would read for it."""
    old = await begun(jobs, Job(), NEW)
    new = await begun(jobs, Job(incarnation=old.incarnation), NEW)

    assert [each.job_id for each in await jobs.end_replaced(new.job_id)] == [old.job_id]
    row = await old.row(jobs)
    assert (row.state, row.code) == (JobState.CANCELLED, "superseded")
    assert f"job {new.job_id} goes on where it ended" in row.reason
    assert await jobs.end_replaced(old.job_id) == []  # a worker with the settings of before
    assert (await new.row(jobs)).state is JobState.RUNNING


async def test_jobs_of_other_topics_graphs_and_lives_go_on(jobs: Jobs) -> None:
    life = Job().incarnation
    others = [
        await begun(jobs, Job(incarnation=life), OLD, topic="invoices"),
        await begun(jobs, Job("other", incarnation=life), OLD),
        await begun(jobs, Job(), OLD),
        await begun(jobs, Job(incarnation=life), OLD, kind=JobKind.UPLOAD),
    ]
    new = await begun(jobs, Job(incarnation=life), NEW)

    assert await jobs.end_replaced(new.job_id) == []
    assert {(await each.row(jobs)).state for each in others} == {JobState.RUNNING}
