"""A database with the schema, and workers that call its functions."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import pytest

from argosy.store.head import Heads
from argosy.store.identity import Identities
from argosy.store.pool import Pool
from tests.conftest import fresh_database
from tests.harness.tcp_proxy import PostgresProxy
from tests.store.hand import LANE, Hand
from tests.store.identities import Store

OpenHand = Callable[[], Awaitable[Hand]]

# What migrations fill. Rows of all other tables are a test's, and another one must not find them.
KEPT = {"lineages", "log_identity", "migrations", "identity_changes", "tenants"}


@pytest.fixture(scope="session")
def store_15_dsn(postgres_15_dsn: str, template_15: str) -> Iterator[str]:
    with fresh_database(postgres_15_dsn, template_15) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def store_18_dsn(postgres_dsn: str, template_18: str) -> Iterator[str]:
    with fresh_database(postgres_dsn, template_18) as dsn:
        yield dsn


async def emptied(dsn: str) -> str:
    """The database without rows, never restored. One for all tests: rows are gone faster than a database is made."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    tables = [row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'argosy'")]
    # Those that refer to others first; in one call and one commit.
    filled = sorted(set(tables) - KEPT, key=lambda each: (each != "graphs", each))
    deletions = [f"DELETE FROM {table}" for table in filled]  # noqa: S608
    reset = [
        "SET argosy.purges_audit = 'on'",
        *deletions,
        "UPDATE lineages SET restores = 0",
        "DELETE FROM tenants WHERE name <> 'default'",
        "UPDATE tenants SET state = 'active', limits = NULL",
    ]
    await connection.execute("; ".join(reset))
    await connection.close()
    return dsn


# For tests of many calls: PostgreSQL 15 has its turn when there is time.
BOTH_IN_FAULTS = pytest.mark.parametrize(
    "store_dsn", [pytest.param("15", marks=pytest.mark.slow), "18"], ids=["postgres15", "postgres18"], indirect=True
)


@pytest.fixture(params=["15", "18"], ids=["postgres15", "postgres18"])
async def store_dsn(request: pytest.FixtureRequest) -> str:
    """A migrated database without rows, on PostgreSQL 15 and on 18."""
    return await emptied(str(request.getfixturevalue(f"store_{request.param}_dsn")))


@pytest.fixture
async def proxy(store_dsn: str) -> AsyncIterator[PostgresProxy]:
    """What stands between a test and the database, and can be cut."""
    proxy = PostgresProxy(store_dsn)
    await proxy.allow()
    yield proxy
    await proxy.close()


@pytest.fixture
async def open_hand(store_dsn: str) -> AsyncIterator[OpenHand]:
    opened: list[Hand] = []

    async def open_one() -> Hand:
        opened.append(await Hand(store_dsn).open())
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


@pytest.fixture
async def hand(open_hand: OpenHand) -> Hand:
    """A worker that owns everything."""
    hand = await open_hand()
    await hand.claim()
    return hand


@pytest.fixture
async def heads(store_dsn: str) -> AsyncIterator[Heads]:
    pool = Pool(store_dsn, 2, 30.0)
    yield Heads(pool, LANE, input_size_bytes_max=100)
    await pool.close()


@pytest.fixture
async def store(store_dsn: str) -> AsyncIterator[Store]:
    pool = Pool(store_dsn, 16, 30.0)
    yield Store(store_dsn, pool, Identities(pool, 5))
    await pool.close()
