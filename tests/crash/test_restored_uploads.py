"""An installation with uploads: backed up while they come, killed, and restored beside the log, which has them all."""

import asyncio
from pathlib import Path

import pytest

from tests.crash.restoring import fetchval, run
from tests.crash.test_ingest import all_is_there_once, lines_of, sent_until_taken
from tests.harness.fleet import Fleet
from tests.ingest.hand import TENANT, GatewayHand
from tests.shards.processes import ShardProcess

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["kafka"])]

DURING = [f"during-{number}" for number in range(4)]
LINES = 20_000
UNDER_WAY = "SELECT count(*) FROM argosy.ingest_jobs WHERE next_line > 1 AND ended_at IS NULL"
BROKEN_OFF = "SELECT count(*) FROM argosy.ingest_jobs WHERE ended_at IS NULL"


@pytest.fixture
def settings(shards: list[ShardProcess]) -> dict[str, str]:
    return {
        "GRAPH_SERVICE_ENDPOINTS": shards[0].endpoint,
        "GRAPH_TIMEOUT_S": "5",
        "GRAPH_WATCH_S": "1",
        "ALLOW_TENANT_HEADER": "true",
    }


@pytest.mark.scenario(
    "uploads, backup restored beside the log", "each line once, rejects listed once; sent again: nothing changes"
)
async def test_uploads_of_before_during_and_after_the_backup_are_there_once(
    idle_fleet: Fleet, shards: list[ShardProcess], tmp_path: Path
) -> None:
    fleet, folder, lines = idle_fleet, tmp_path / "backup", lines_of(LINES)
    body = b"\n".join(lines)
    await asyncio.to_thread(fleet.gateway)
    await asyncio.to_thread(fleet.ingest_worker)
    jobs = {"before": await sent_until_taken(fleet, "before", body)}
    sending = [asyncio.create_task(sent_until_taken(fleet, each, body)) for each in DURING]
    async with asyncio.timeout(60):
        while not await fetchval(fleet, UNDER_WAY):  # noqa: ASYNC110 (processes that others see through their database)
            await asyncio.sleep(0.02)
    code, output = await asyncio.to_thread(run, fleet, "backup", str(folder))
    assert code == 0, output
    jobs |= dict(zip(DURING, await asyncio.gather(*sending), strict=True))
    jobs["after"] = await sent_until_taken(fleet, "after", body)
    async with GatewayHand.of(fleet) as hand:
        await all_is_there_once(hand, jobs, lines)

    for process in fleet.processes:
        process.kill()
    await fetchval(fleet, "DROP SCHEMA argosy CASCADE")
    fleet.environment["GRAPH_SERVICE_ENDPOINTS"] = shards[1].endpoint
    code, output = await asyncio.to_thread(run, fleet, "restore", str(folder), "--yes")
    assert code == 0, output
    assert await fetchval(fleet, BROKEN_OFF) > 0  # the backup has uploads in the middle of them
    await asyncio.to_thread(fleet.gateway)
    await asyncio.to_thread(fleet.ingest_worker)

    async with GatewayHand.of(fleet) as hand:
        async with asyncio.timeout(60):
            for job_id in jobs.values():
                while await hand.jobs.find(job_id, TENANT) is None:  # made again by its records  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        await all_is_there_once(hand, jobs, lines)
        again = await asyncio.gather(*(sent_until_taken(fleet, each, body) for each in jobs))
        assert again == list(jobs.values())
        await all_is_there_once(hand, jobs, lines)
