"""A fleet that is backed up and restored by commands."""

from typing import Any

import asyncpg

from tests.harness.fleet import Fleet


async def fetchval(fleet: Fleet, statement: str) -> Any:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def run(fleet: Fleet, *arguments: str) -> tuple[int, str]:
    process = fleet.start_process(arguments[0], list(arguments), 0, {})
    return process.wait_dead(120), process.tail()
