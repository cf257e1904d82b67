"""Workers apply what stands in the log, each line once, and say what came of it."""

import asyncio

import psutil
import pytest

from argosy.ingest.chain import EMPTY, chain_of
from argosy.ingest.job import JobState, WaitsFor
from tests.harness.fleet import Fleet
from tests.ingest.hand import TENANT, GatewayHand, nodes

pytestmark = pytest.mark.slow


async def test_uploads_are_applied_and_their_jobs_are_done(idle_fleet: Fleet, hand: GatewayHand) -> None:
    lines = [*nodes(150), b"no json", b"", *nodes(150, first=150)]
    jobs = [await hand.upload(f"crm-{number}", lines) for number in range(3)]

    worker = await asyncio.to_thread(idle_fleet.ingest_worker)

    assert psutil.Process(worker.pid).nice() == min(19, psutil.Process().nice() + hand.settings.ingest_nice)
    for number, job in enumerate(jobs):
        row = await hand.until_ended(job)
        assert (row.state, row.next_line, row.applied, row.rejected) == (JobState.DONE, 303, 300, 1)
        assert await hand.numbers(f"crm-{number}") == list(range(300))
        assert await hand.rejected_lines(job) == [151]


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_what_one_log_can_do_to_a_job(idle_fleet: Fleet, hand: GatewayHand) -> None:
    """Every odd thing that a log may hold, read by one worker."""
    lines = nodes(30)

    # The same upload twice, half of it by another gateway that cuts it otherwise.
    twice = await hand.begin("twice")
    await hand.append(twice, *hand.records(twice, lines, 7)[:3])
    await hand.append(twice, *hand.records(twice, lines, 4), hand.end(twice, lines))
    await hand.append(twice, *hand.records(twice, lines, 30), hand.end(twice, lines))

    # Another upload under the same key: its lines are foreign from the first that differs.
    mixed = await hand.begin("mixed")
    other = [*lines[:10], *nodes(20, first=100)]
    await hand.append(mixed, *hand.records(mixed, lines, 10)[:2], *hand.records(mixed, other, 10))
    await hand.append(mixed, hand.end(mixed, other))

    # Such another upload that was whole first, and is not the one that was answered.
    answered = await hand.begin("answered")
    await hand.append(answered, *hand.records(answered, lines, 10)[:2], *hand.records(answered, other, 10))
    await hand.append(answered, *hand.records(answered, lines, 10), hand.end(answered, other))
    await hand.append(answered, hand.end(answered, lines))
    chain, log_id = chain_of(EMPTY, lines), hand.writer.identity.log_id
    await hand.jobs.note_received(answered.job_id, log_id, len(lines), chain, 1, is_end=True)

    # A hole: lines behind it are dropped, and the upload goes on from what the file has.
    holey = await hand.begin("holey")
    first, _, third = hand.records(holey, lines, 10)
    await hand.append(holey, first, third, hand.end(holey, lines))

    # The graph was dropped and made again.
    dropped = await hand.upload("dropped", lines)
    await hand.graphs.drop(TENANT, "dropped")
    anew = await hand.upload("dropped", nodes(5))

    # Cancelled before anything was read.
    cancelled = await hand.upload("cancelled", lines)
    await hand.jobs.cancel(cancelled.job_id, TENANT)

    # Half an upload.
    half = await hand.begin("half")
    await hand.append(half, *hand.records(half, lines, 10)[:2])

    worker = await asyncio.to_thread(idle_fleet.ingest_worker)
    ended = [await hand.until_ended(job) for job in (twice, mixed, answered, dropped, anew)]
    assert (await hand.until(half, lambda row: row.next_line == 21)).state is JobState.RUNNING
    lost = await hand.until(holey, lambda row: row.waits_for is WaitsFor.UPLOAD)

    assert [(row.state, row.code) for row in ended] == [
        (JobState.DONE, ""),
        (JobState.FAILED, "idempotency_mismatch"),
        (JobState.DONE, ""),
        (JobState.FAILED, "graph_dropped"),
        (JobState.DONE, ""),
    ]
    assert await hand.numbers("twice") == list(range(30))
    assert await hand.numbers("mixed") == list(range(20))
    assert await hand.numbers("answered") == list(range(30))
    assert await hand.numbers("dropped") == list(range(5))
    assert await hand.numbers("cancelled") == []
    assert lost.received_line == 10

    await hand.append(holey, *hand.records(holey, lines, 10)[1:], hand.end(holey, lines))
    assert (await hand.until_ended(holey)).state is JobState.DONE
    assert await hand.numbers("holey") == list(range(30))
    assert await asyncio.to_thread(worker.terminate) == 0
