"""One topic is read by one job after the other (`run` in INGEST_TOPICS): each goes on where the one before ended."""

import asyncio

import pytest

from argosy.ingest.job import JobState
from tests.topics.conftest import World, until


@pytest.mark.slow
async def test_a_cancelled_job_pauses_and_another_run_goes_on_where_it_ended(world: World) -> None:
    await world.make_topic()
    await world.write([(0, "one", {"total": 1})])
    async with world.worker():
        await until(lambda: world.counted(1, 0))
        job = await world.job()
        await world.jobs.cancel(job.job_id, "default")
        await asyncio.sleep(3.0)
        await world.write([(0, "two", {"total": 2})])
        await asyncio.sleep(3.0)
        assert (await world.nodes()).keys() == {"one"}
    async with world.worker(world.of(run="again")):
        await until(lambda: world.has(["two"]))

    assert (await world.jobs.find(job.job_id, "default")).state is JobState.CANCELLED  # type: ignore[union-attr]
    assert (await world.job()).job_id != job.job_id


@pytest.mark.slow
async def test_another_run_ends_a_job_that_still_runs_and_goes_on_there(world: World) -> None:
    """Workers are restarted one by one with another `run`: those of before end with their job."""
    await world.make_topic()
    await world.write([(n % 3, f"o-{n}", {"total": n}) for n in range(6)])
    async with world.worker():
        await until(lambda: world.counted(6, 0))
        before = await world.job()
        async with world.worker(world.of(run="again")):
            await until(lambda: world.counted(6, 0))
            await world.write([(n % 3, f"o-{n}", {"total": n}) for n in range(6, 12)])
            await until(lambda: world.has([f"o-{n}" for n in range(12)]))
            await until(lambda: world.counted(12, 0))

    row = await world.jobs.find(before.job_id, "default")
    assert row is not None
    assert (row.state, row.code) == (JobState.CANCELLED, "superseded")
    after = await world.job()
    assert (after.job_id != before.job_id, after.state) == (True, JobState.RUNNING)
