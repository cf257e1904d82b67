"""A loop of a worker that fails again and again: the worker lives, says so, and is ready when it is well again."""

import asyncio
import json
import urllib.error
import urllib.request

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.processes import Managed


def _lacks(worker: Managed) -> str:
    """What it waits for by its /readyz; empty when it is ready."""
    try:
        urllib.request.urlopen(worker.ready_url, timeout=5)  # noqa: S310
    except urllib.error.HTTPError as error:
        return str(json.load(error)["waits_for"])
    return ""


async def _until_it_lacks(worker: Managed, words: str, within_s: float) -> None:
    """Exactly that; "" for nothing."""
    async with asyncio.timeout(within_s):
        while (await asyncio.to_thread(_lacks, worker)) != words:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.slow
@BOTH_IN_FAULTS
async def test_a_worker_of_which_a_loop_keeps_failing_is_not_ready_until_it_is_well(
    idle_fleet: Fleet, client: Client
) -> None:
    (worker,) = idle_fleet.start(1)
    postgres = await asyncpg.connect(idle_fleet.environment["STATE_DB_URI"])

    await postgres.execute("ALTER TABLE argosy.inbox RENAME COLUMN due_at TO due_at_another_time")
    await _until_it_lacks(
        worker, "a loop that keeps failing: inbox (UndefinedColumnError); its log says why (loop.error)", within_s=40
    )
    assert "loop.error" in worker.tail(50_000)

    await postgres.execute("ALTER TABLE argosy.inbox RENAME COLUMN due_at_another_time TO due_at")
    await _until_it_lacks(worker, "", within_s=20)
    await client.until_status([await client.post("session", "steps", effects=1)])
    await postgres.close()
