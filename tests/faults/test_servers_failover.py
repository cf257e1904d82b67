"""A second Postgres, asynchronous, is promoted by hand after the first was lost: it never saw the last transactions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from argosy.local.postgres import EmbeddedPostgres
from tests.checker.history import violations
from tests.conftest import fresh_database
from tests.crash.test_restored import of_the_history_that_counts
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.logs import KAFKA_ONLY
from tests.harness.standby import Standby

pytestmark = [pytest.mark.slow, KAFKA_ONLY]


@pytest.fixture
def own_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """One that may be lost."""
    with EmbeddedPostgres(folder / "postgres") as server:
        yield server


@pytest.fixture
def database(own_postgres: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(own_postgres.dsn) as dsn:
        yield dsn


async def fetchval(fleet: Fleet, statement: str) -> int:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        return int(await connection.fetchval(statement))
    finally:
        await connection.close()


@pytest.mark.timeout(200)
@pytest.mark.scenario(
    "F19 failover to a standby that lost the tail", "positions go back with the data: every 202 ends; epochs grow"
)
async def test_a_promoted_standby_that_lost_the_last_transactions_loses_no_turn(
    idle_fleet: Fleet, client: Client, own_postgres: EmbeddedPostgres, folder: Path
) -> None:
    fleet, standby = idle_fleet, Standby(own_postgres, folder)
    workers = await asyncio.to_thread(fleet.start, 2)
    before = [await client.post(f"session-{number % 10}", "steps", effects=2, n=2) for number in range(20)]
    await client.until_status(before)
    await standby.make()
    lost = [await client.post(f"session-{number % 10}", "steps", effects=2, n=2) for number in range(60)]
    await client.until_status(lost[:40])
    epoch_before = await fetchval(fleet, "SELECT max(epoch) FROM argosy.partitions")

    await standby.take_over()
    # Workers whose flushes the database has forgotten end, each with a line that says so; somebody starts new ones.
    codes = [await asyncio.to_thread(worker.wait_dead, 40) for worker in workers]
    await asyncio.to_thread(fleet.worker)
    await asyncio.to_thread(fleet.worker)

    assert set(codes) == {1}
    await client.until_status([*before, *lost], within_s=60)
    assert await fetchval(fleet, "SELECT min(epoch) FROM argosy.partitions") > epoch_before
    history = await client.history(disruptions=3, is_truth_old=True)
    assert violations(history._replace(effects=of_the_history_that_counts(history))) == []
    await until_nothing_is_left(fleet)
