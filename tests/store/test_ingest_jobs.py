"""Rows of jobs as gateways write them: an upload goes on where the log had come to, and a job ends once."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from argosy.errors import OwnershipLostError
from argosy.ingest.job import JobEventType, JobKind, JobState, WaitsFor
from argosy.store.head import Heads
from argosy.store.ingest import NEWEST, JobPlace, Jobs, end_signal
from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from tests.maintenance.term import term_of
from tests.store.hand import LANE, Change, Hand, New
from tests.store.job_hand import LOG, TENANT, Job, chain_at, execute
from tests.store.test_flush import QUEUED, STARTED


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 4, 30.0)
    yield pool
    await pool.close()


@pytest.fixture
def jobs(pool: Pool) -> Jobs:
    return Jobs(pool)


async def types_of(jobs: Jobs, job: Job) -> list[JobEventType]:
    events = await jobs.events(job.job_id, TENANT, 0, 100)
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    return [each.type for each in events]


async def test_a_job_begins_once_whoever_begins_it(jobs: Jobs) -> None:
    job = Job()

    rows = await asyncio.gather(*(jobs.begin(job.new, LOG) for _ in range(4)))

    assert {row[:7] for row in rows} == {job.new}
    assert await types_of(jobs, job) == [JobEventType.STARTED]


async def test_what_was_received_only_moves_on(jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)

    for line in (10, 30, 20):
        assert await jobs.note_received(job.job_id, LOG, line, chain_at(line), line * 100, is_end=False)

    row = await job.row(jobs)
    assert (row.received_line, row.received_chain, row.received_bytes) == (30, chain_at(30), 3_000)


async def test_of_another_log_nothing_was_received(jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    await jobs.note_received(job.job_id, LOG, 30, chain_at(30), 3_000, is_end=True)

    again = await jobs.begin(job.new, "cluster/made-again")
    await jobs.note_received(job.job_id, LOG, 40, chain_at(40), 4_000, is_end=True)

    assert (again.received_line, again.end_line) == (0, None)
    assert (await job.row(jobs)).received_line == 0


async def test_the_end_of_an_upload_is_noted_once(jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)

    for _ in range(2):
        await jobs.note_received(job.job_id, LOG, 30, chain_at(30), 3_000, is_end=True)

    row = await job.row(jobs)
    assert (row.end_line, row.end_chain) == (30, chain_at(30))
    assert await types_of(jobs, job) == [JobEventType.STARTED, JobEventType.UPLOADED]


async def test_a_job_ends_once(jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)

    ends = await asyncio.gather(*(jobs.end(job.job_id, JobState.FAILED, code) for code in ("a", "b")))
    cancelled = await jobs.cancel(job.job_id, TENANT)

    assert sorted(ends) == [False, True]
    assert cancelled is not None
    assert cancelled.state is JobState.FAILED
    assert await types_of(jobs, job) == [JobEventType.STARTED, JobEventType.FAILED]
    assert not await jobs.note_received(job.job_id, LOG, 10, chain_at(10), 1_000, is_end=False)


async def test_jobs_of_other_tenants_are_not_there(jobs: Jobs) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)

    assert await jobs.find(job.job_id, "globex") is None
    assert await jobs.cancel(job.job_id, "globex") is None
    assert await jobs.wait(job.job_id, "globex", uuid.uuid4(), LANE) is None
    assert await jobs.events(job.job_id, "globex", 0, 10) == []
    assert await jobs.list("globex", "crm", NEWEST, 10) == []
    assert (await job.row(jobs)).state is JobState.RUNNING


async def test_jobs_of_a_graph_are_listed_page_by_page(jobs: Jobs) -> None:
    made = [Job() for _ in range(3)]
    for each in made:
        await jobs.begin(each.new, LOG)
    await jobs.begin(Job("other").new, LOG)

    first = await jobs.list(TENANT, "crm", NEWEST, 2)
    rest = await jobs.list(TENANT, "crm", JobPlace(first[-1].made_at, first[-1].job_id), 2)

    assert [each.job_id for each in (*first, *rest)] == [each.job_id for each in reversed(made)]


async def test_a_turn_that_waits_is_told_the_end_once(jobs: Jobs, pool: Pool, hand: Hand) -> None:
    turn, job = New("s"), Job()
    await hand.accept(turn)
    await hand.flush(Change(turn, QUEUED, "suspended", events=STARTED))
    await jobs.begin(job.new, LOG)

    seen = [await jobs.wait(job.job_id, TENANT, turn.turn_id, LANE) for _ in range(2)]
    await jobs.cancel(job.job_id, TENANT)
    after = await jobs.wait(job.job_id, TENANT, turn.turn_id, LANE)

    assert [each and each.state for each in (*seen, after)] == ["running", "running", "cancelled"]
    (signal,) = await Heads(pool, LANE, input_size_bytes_max=100).await_signals([turn.turn_id])
    assert signal.name == end_signal(job.job_id)
    assert json.loads(signal.payload or b"")["status"] == "cancelled"


async def test_an_end_and_a_wait_at_once_lose_nothing(jobs: Jobs, pool: Pool, hand: Hand) -> None:
    turns, made = [New(f"s{number}") for number in range(8)], [Job() for _ in range(8)]
    await hand.accept(*turns)
    for job in made:
        await jobs.begin(job.new, LOG)

    async def wait(turn: New, job: Job) -> bool:
        row = await jobs.wait(job.job_id, TENANT, turn.turn_id, LANE)
        return row is not None and row.state is not JobState.RUNNING

    pairs = list(zip(turns, made, strict=True))
    *knew, _ = await asyncio.gather(
        *(wait(*pair) for pair in pairs), asyncio.gather(*(jobs.cancel(job.job_id, TENANT) for job in made))
    )

    signals = await Heads(pool, LANE, input_size_bytes_max=100).await_signals([each.turn_id for each in turns])
    told = {each.turn_id for each in signals}
    assert [knows or turn.turn_id in told for knows, (turn, _) in zip(knew, pairs, strict=True)] == [True] * 8


async def test_ended_jobs_are_forgotten_when_the_log_has_forgotten_them(jobs: Jobs, store_dsn: str) -> None:
    term = await term_of(store_dsn, "retention")
    job, running = Job(), Job()
    for each in (job, running):
        await jobs.begin(each.new, LOG)
    await jobs.cancel(job.job_id, TENANT)
    await execute(
        store_dsn,
        "INSERT INTO lane_logs (lane, cluster_id, topic_id, topic, partition_count)"
        " VALUES ('*ingest', 'cluster', 'topic', 'ingest', 1)",
    )
    await execute(
        store_dsn, "INSERT INTO positions (log_id, partition, lane, position) VALUES ($1, 0, '*ingest', 5)", LOG
    )
    await execute(store_dsn, "UPDATE ingest_jobs SET ended_at = now() - interval '1 day' WHERE ended_at IS NOT NULL")

    in_log = await jobs.purge("retention", term, "*ingest", 3_600.0, 10)
    await execute(store_dsn, "UPDATE positions SET trimmed_through = now()")
    gone = await jobs.purge("retention", term, "*ingest", 3_600.0, 10)

    assert (in_log, gone) == (0, 1)
    assert await jobs.find(job.job_id, TENANT) is None
    assert await jobs.find(running.job_id, TENANT) is not None
    with pytest.raises(OwnershipLostError):
        await jobs.purge("retention", term - 1, "*ingest", 3_600.0, 10)


async def test_a_job_with_very_many_refused_lines_is_forgotten_bit_by_bit(jobs: Jobs, store_dsn: str) -> None:
    term = await term_of(store_dsn, "retention")
    job = Job()
    await jobs.begin(job.new, LOG)
    await jobs.cancel(job.job_id, TENANT)
    await execute(store_dsn, "UPDATE ingest_jobs SET ended_at = now() - interval '1 day'")
    await execute(
        store_dsn,
        "INSERT INTO ingest_rejects (job_id, line, code, reason, start)"
        " SELECT $1, n, '', '', '' FROM generate_series(1, 20001) AS n",
        job.job_id,
    )

    first = await jobs.purge("retention", term, "*ingest", 3_600.0, 10)
    left = await jobs.rejects(job.job_id, TENANT, (0, 0), 10)
    still_there = await jobs.find(job.job_id, TENANT)
    await jobs.purge("retention", term, "*ingest", 3_600.0, 10)

    assert (first, len(left), still_there is not None) == (1, 1, True)
    assert await jobs.find(job.job_id, TENANT) is None
    assert await jobs.rejects(job.job_id, TENANT, (0, 0), 10) == []


async def test_an_upload_that_nobody_completes_is_given_up(jobs: Jobs, store_dsn: str) -> None:
    term = await term_of(store_dsn, "retention")
    half, whole = Job(), Job()
    for each in (half, whole):
        await jobs.begin(each.new, LOG)
    await jobs.note_received(whole.job_id, LOG, 1, chain_at(1), 10, is_end=True)
    await execute(store_dsn, "UPDATE ingest_jobs SET received_at = now() - interval '1 day'")

    ended = await jobs.abandon("retention", term, 3_600.0, 10)

    assert ended == 1
    assert ((await half.row(jobs)).code, (await whole.row(jobs)).state) == ("abandoned", JobState.RUNNING)


async def test_waiting_for_the_upload_ends_when_more_comes(jobs: Jobs, store_dsn: str) -> None:
    job = Job()
    await jobs.begin(job.new, LOG)
    await execute(store_dsn, "UPDATE ingest_jobs SET waits_for = 'upload'")

    await jobs.note_received(job.job_id, LOG, 5, chain_at(5), 50, is_end=False)

    assert (await job.row(jobs)).waits_for is WaitsFor.NOTHING


async def test_what_a_job_received_is_what_its_end_says_whatever_came_of_another_upload(jobs: Jobs) -> None:
    """Of two uploads under one key the longer one was noted first, and goes on after the end of the other."""
    job = Job()
    await jobs.begin(job.new, LOG)
    await jobs.note_received(job.job_id, LOG, 20, b"other" * 3 + b"s", 2_000, is_end=False)

    await jobs.note_received(job.job_id, LOG, 10, chain_at(10), 1_000, is_end=True)
    await jobs.note_received(job.job_id, LOG, 30, b"other" * 3 + b"s", 3_000, is_end=False)
    await jobs.note_received(job.job_id, LOG, 40, b"other" * 3 + b"s", 4_000, is_end=True)

    row = await job.row(jobs)
    assert (row.received_line, row.received_chain, row.received_bytes) == (10, chain_at(10), 1_000)
    assert (row.end_line, row.end_chain) == (10, chain_at(10))


async def test_the_newest_job_of_a_topic_is_never_forgotten(jobs: Jobs, store_dsn: str) -> None:
    """Else a worker would read a topic again whose job was cancelled, and make a graph again that was dropped."""
    term = await term_of(store_dsn, "retention")
    first, second, other = Job(), Job(), Job("other")
    for each in (first, second, other):
        await jobs.begin(each.new._replace(kind=JobKind.TOPIC), LOG)
        await jobs.cancel(each.job_id, TENANT)
    await execute(store_dsn, "UPDATE ingest_jobs SET ended_at = now() - interval '1 day'")

    gone = [await jobs.purge("retention", term, "*ingest", 3_600.0, 10) for _ in range(2)]

    assert gone == [1, 0]
    assert [await jobs.find(each.job_id, TENANT) is not None for each in (first, second, other)] == [False, True, True]
    assert await jobs.was_read(TENANT, "crm", LOG)


async def test_of_the_newest_job_of_a_topic_the_rejects_are_forgotten_as_those_of_others(
    jobs: Jobs, store_dsn: str
) -> None:
    term, job = await term_of(store_dsn, "retention"), Job()
    await jobs.begin(job.new._replace(kind=JobKind.TOPIC), LOG)
    await jobs.cancel(job.job_id, TENANT)
    await execute(store_dsn, "INSERT INTO ingest_rejects SELECT job_id, 0, 1, 'c', 'r', 's' FROM ingest_jobs")
    await execute(store_dsn, "UPDATE ingest_jobs SET ended_at = now() - interval '1 day'")

    gone = [await jobs.purge("retention", term, "*ingest", 3_600.0, 10) for _ in range(2)]

    assert gone == [1, 0]
    assert await jobs.find(job.job_id, TENANT) is not None
    assert await jobs.rejects(job.job_id, TENANT, (-1, -1), 10) == []


async def test_jobs_that_erasures_passed_over_say_for_ever_that_their_topic_was_read(
    jobs: Jobs, store_dsn: str
) -> None:
    """Also when several graphs were erased, and after another word as `run`: nobody knows their names any more."""
    term, first, second = await term_of(store_dsn, "retention"), Job("first"), Job("second")
    for each in (first, second):
        await jobs.begin(each.new._replace(kind=JobKind.TOPIC), LOG)
    await execute(
        store_dsn,
        "UPDATE ingest_jobs SET tenant = '', graph = '', state = 'cancelled', ended_at = now() - interval '1 day'",
    )

    assert await jobs.purge("retention", term, "*ingest", 3_600.0, 10) == 0
    assert await jobs.was_read(TENANT, "first", LOG)
    assert not await jobs.was_read(TENANT, "first", "cluster/another")


async def test_whether_a_worker_lives_is_asked_once_however_many_jobs_are_shown(
    jobs: Jobs, pool: Pool, store_dsn: str
) -> None:
    made = [Job() for _ in range(5)]
    for each in made:
        await jobs.begin(each.new, LOG)
    shown = Jobs(pool, heartbeat_ttl_s=60.0)

    listed = await shown.list(TENANT, "crm", NEWEST, 10)
    connection = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy"})
    statement = "EXPLAIN (ANALYZE, FORMAT JSON) " + load_queries("ingest")["list_jobs"]
    [explained] = json.loads(await connection.fetchval(statement, TENANT, "crm", *NEWEST, 10, 60.0))
    await connection.close()

    assert [each.waits_for for each in listed] == [WaitsFor.WORKER] * 5
    (asked,) = [each for each in plans_of(explained["Plan"]) if each.get("Parent Relationship") == "InitPlan"]
    assert asked["Actual Loops"] == 1
    assert [each for each in plans_of(explained["Plan"]) if each.get("Parent Relationship") == "SubPlan"] == []


def plans_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", []):
        yield from plans_of(each)
