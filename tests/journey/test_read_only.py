"""A database that is made read-only under a running fleet, as hosts do when a disk is full: said, and over with it."""

import asyncio
from typing import Any

import asyncpg

from tests.harness.client import Client, Reply
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.journey.test_store_away import answers


async def set_read_only(operator: Any, is_on: bool) -> None:
    """For every session that begins from now on; those that run are ended, when it begins."""
    name = await operator.fetchval("SELECT current_database()")
    await operator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if is_on else 'off'}")
    if is_on:
        await operator.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


async def signalled(client: Client, turn_id: str) -> Reply:
    return await client.request("POST", f"/v1/turns/{turn_id}/signals/go", "1", content_type="application/json")


@BOTH_IN_FAULTS
async def test_a_fleet_whose_database_is_read_only_says_so_and_goes_on_when_it_is_not(
    fleet: Fleet, client: Client, database: str, log_name: str
) -> None:
    worker = await asyncio.to_thread(fleet.worker, HEARTBEAT_INTERVAL_S="0.3")
    operator = await asyncpg.connect(database)
    waiting = await client.post("waiting", "waits", effects=2)
    await client.until_status([waiting], ("suspended",))

    await set_read_only(operator, True)
    async with asyncio.timeout(30):
        while "is read-only now" not in await asyncio.to_thread(worker.log.read_text):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while (answer := await signalled(client, waiting)).json()["detail"] == "Postgres did not answer":  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # sessions that were ended are noticed one after the other
        assert '"store":"read_only"' in await answers(worker, 503)
    gateway = await client.request("GET", "/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.json()["detail"] == "Postgres is read-only now: nothing was written"
    assert gateway.json()["store"] == "read_only"
    assert gateway.status_code == (200 if log_name == "kafka" else 503)
    if log_name == "postgres":
        refused = await client.request(
            "POST", "/v1/sessions/s/turns", '{"workflow": "echo"}', content_type="application/json"
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "log_unavailable")
        assert "read-only" in refused.json()["detail"]

    await set_read_only(operator, False)
    await client.signal(waiting, "go", 7)
    turns = [await client.post(f"s{n}", "steps", effects=1) for n in range(4)]
    await client.until_status([waiting, *turns])
    await client.judge(disruptions=1)
    assert worker.process.poll() is None
    await operator.close()
