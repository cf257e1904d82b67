"""Connections to Postgres that break while a worker writes: the same flush is sent again and applies once (F18)."""

import asyncio

import asyncpg

from tests.harness.client import Client
from tests.harness.fleet import Fleet

_CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_connections_cut_at_any_moment_repeat_no_step_and_lose_no_turn(fleet: Fleet, client: Client) -> None:
    fleet.worker()
    cutter = await asyncpg.connect(fleet.environment["STATE_DB_URI"])

    async def converse(number: int) -> list[str]:
        return [await client.post(f"session-{number}", "steps", effects=2, n=2) for _ in range(15)]

    posting = asyncio.gather(*map(converse, range(20)))
    for _ in range(8):
        await asyncio.sleep(0.15)
        await cutter.execute(_CUT)
    turns = [turn for conversation in await posting for turn in conversation]

    await client.until_status(turns)
    await cutter.close()
    await client.judge(disruptions=0)
