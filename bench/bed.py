"""The fleet of one suite: its own database, topic and group on the bench's servers, with the shipped settings."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from bench.http import HttpClient
from bench.services import Services
from tests.harness.fleet import Fleet

WORKFLOWS = Path(__file__).parent / "workflows.py"
# The tests' harness makes these shorter; here they have their default values.
_AS_SHIPPED = {"RECONCILE_INTERVAL_S": "1", "GATEWAY_CACHE_S": "2"}


class Bed:
    """A fleet with a gateway and no worker yet. database: the bench's connection; client: for the gateway."""

    def __init__(self, fleet: Fleet, database: asyncpg.Connection, folder: Path) -> None:
        self.fleet = fleet
        self.database = database
        self.folder = folder
        self.client = HttpClient("127.0.0.1", fleet.port)


@contextlib.asynccontextmanager
async def bed(
    servers: Services, folder: Path, name: str, partitions: int, *, eligible_s: float = 2.0, **settings: str
) -> AsyncIterator[Bed]:
    """Start a fleet and yield it; stop all of it at the end. When the suite fails, print the fleet's logs."""
    fleet = Fleet(
        folder / name,
        await new_database(servers.postgres.dsn, f"bench_{name}"),
        servers.bootstrap,
        partitions,
        eligible_s=eligible_s,
        ARGOSY_WORKFLOWS=str(WORKFLOWS),
        LOG_LEVEL="warning",
        **(_AS_SHIPPED | settings),
    )
    try:
        fleet.prepare()
        fleet.gateway()
        database = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
        made = Bed(fleet, database, folder / name)
        try:
            yield made
        except BaseException:
            print(fleet.logs())
            raise
        finally:
            made.client.close()
            await database.close()
    finally:
        fleet.stop()


async def new_database(dsn: str, name: str) -> str:
    """Create a database on this server and return its DSN."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return re.sub(r"/postgres\?", f"/{name}?", dsn, count=1)
