"""A standby that lacks the last claims is promoted while both owners live, and perhaps the old primary too."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from argosy.local.postgres import EmbeddedPostgres
from tests.checker.history import violations
from tests.conftest import fresh_database
from tests.crash.test_restored import of_the_history_that_counts
from tests.harness.client import Client
from tests.harness.effects import Latch, until_reached
from tests.harness.fleet import Fleet
from tests.harness.leftovers import until_nothing_is_left
from tests.harness.logs import KAFKA_ONLY
from tests.harness.owners import sessions_over, until_shared
from tests.harness.standby import Standby
from tests.harness.tcp_proxy import PostgresProxy, target_of

_SOON_SILENT = {"HEARTBEAT_INTERVAL_S": "0.5", "HEARTBEAT_TTL_S": "3", "GATEWAY_LAG_MAX_S": "300"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(200),
    KAFKA_ONLY,
    pytest.mark.parametrize("settings", [_SOON_SILENT]),
]

PARTITIONS = 8
_WRITE_CLAIMS_DOWN = """
    CREATE TABLE public.claims (partition integer, epoch bigint, owner uuid);
    CREATE FUNCTION public.write_claim_down() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO public.claims VALUES (NEW.partition, NEW.epoch, NEW.owner);
      RETURN NULL;
    END $$;
    CREATE TRIGGER claims AFTER INSERT OR UPDATE OF epoch ON argosy.partitions
      FOR EACH ROW EXECUTE FUNCTION public.write_claim_down();"""


@pytest.fixture
def own_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """One that may be lost."""
    with EmbeddedPostgres(folder / "postgres") as server:
        yield server


@pytest.fixture
def standby(own_postgres: EmbeddedPostgres, folder: Path) -> Iterator[Standby]:
    standby = Standby(own_postgres, folder)
    yield standby
    standby.stop()


@pytest.fixture
def database(own_postgres: EmbeddedPostgres, standby: Standby) -> Iterator[str]:
    """Gone, and with it the fleet, before the servers stop."""
    with fresh_database(own_postgres.dsn) as dsn:
        yield dsn


@pytest.fixture
async def proxies(database: str) -> AsyncIterator[list[PostgresProxy]]:
    """Two ways to the primary."""
    proxies = [PostgresProxy(database), PostgresProxy(database)]
    for proxy in proxies:
        await proxy.allow()
    yield proxies
    for proxy in proxies:
        await proxy.close()


async def ask(dsn: str, statement: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()


async def write_claims_down(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_WRITE_CLAIMS_DOWN)
    finally:
        await connection.close()


async def claims_of(dsn: str) -> set[tuple[int, int, str]]:
    """Partition, epoch and owner of every claim that this database knows."""
    return set(await ask(dsn, "SELECT partition, epoch, owner::text FROM public.claims"))


def owners_of_epochs(claims: set[tuple[int, int, str]]) -> list[int]:
    """How many different owners each (partition, epoch) had."""
    owners = defaultdict(set)
    for partition, epoch, owner in claims:
        owners[partition, epoch].add(owner)
    return [len(each) for each in owners.values()]


async def judge(fleet: Fleet, client: Client, deposed_pid: int = 0, since_s: float = 0.0) -> None:
    """By the history that counts. deposed_pid: what this worker caused since then belongs to one that does not."""
    history = await client.history(disruptions=3, is_truth_old=True)
    effects = [each for each in history.effects if each.pid != deposed_pid or each.at_s < since_s]
    history = history._replace(effects=tuple(effects))
    assert violations(history._replace(effects=of_the_history_that_counts(history))) == []
    await until_nothing_is_left(fleet)


@pytest.mark.scenario(
    "F53 failover that lacks the last claims", "both owners live: no epoch twice; every 202 ends once"
)
async def test_owners_of_both_histories_live_and_no_epoch_is_used_twice(
    idle_fleet: Fleet, client: Client, database: str, standby: Standby, latch: Latch
) -> None:
    fleet = idle_fleet
    await write_claims_down(database)
    (first,) = await asyncio.to_thread(fleet.start, 1)
    before = [await client.post(name, "steps", effects=2, n=2) for name in sessions_over(PARTITIONS, name="before")]
    held = [await client.post(name, "holds", effects=3, until=latch.path) for name in sessions_over(PARTITIONS)]
    await client.until_status(before)
    await until_reached(client.sink, held, times=2)
    await standby.make()
    second = await asyncio.to_thread(fleet.worker)
    await until_shared(client, [first, second], PARTITIONS)
    lost = [await client.post(name, "steps", effects=2, n=2) for name in sessions_over(PARTITIONS, 5, name="lost")]
    await client.until_status(lost)
    rolled_back = await claims_of(database)

    await standby.take_over()
    latch.release()  # both write what they have, under epochs of a history that is gone
    codes = [await asyncio.to_thread(worker.wait_dead, 40) for worker in (first, second)]
    await asyncio.to_thread(fleet.workers, 2)

    assert codes == [1, 1]
    await client.until_status([*before, *held, *lost], within_s=60)
    kept = await claims_of(database)
    assert rolled_back - kept, "the standby lacks no claim"
    assert set(owners_of_epochs(rolled_back | kept)) == {1}
    await judge(fleet, client)


@pytest.mark.scenario("F53 two primaries", "what the old one still takes never reaches the truth; its worker ends")
async def test_what_a_deposed_primary_still_takes_never_reaches_the_truth(
    idle_fleet: Fleet, client: Client, database: str, standby: Standby, latch: Latch, proxies: list[PostgresProxy]
) -> None:
    fleet, (way, way_of_deposed) = idle_fleet, proxies
    await write_claims_down(database)
    fleet.environment["STATE_DB_URI"] = way.dsn
    await asyncio.to_thread(fleet.gateway)
    deposed = await asyncio.to_thread(fleet.worker, STATE_DB_URI=way_of_deposed.dsn)
    held = [await client.post(name, "holds", effects=3, until=latch.path) for name in sessions_over(PARTITIONS)]
    await until_reached(client.sink, held, times=2)
    await standby.make()
    other = await asyncio.to_thread(fleet.worker)
    await until_shared(client, [deposed, other], PARTITIONS)

    promoted_s, new_primary = time.time(), await standby.take_over_beside()
    new_database = new_primary.dsn.replace("/postgres?", f"{urlsplit(database).path}?", 1)
    way.turn_to(target_of(new_database))
    assert await asyncio.to_thread(other.wait_dead, 40) == 1
    await asyncio.to_thread(fleet.worker)
    names = sessions_over(PARTITIONS, 3, name="meanwhile")
    meanwhile = [await client.post(name, "steps", effects=2, n=2) for name in names]
    latch.release()
    taken = await until_deposed_has_ended(database, meanwhile)
    known = await ask(new_database, "SELECT turn_id::text FROM argosy.turns")
    assert set(taken).isdisjoint(row[0] for row in known)
    way_of_deposed.turn_to(target_of(new_database))
    code = await asyncio.to_thread(deposed.wait_dead, 40)
    await asyncio.to_thread(fleet.worker)

    assert code == 1
    await client.until_status([*held, *meanwhile], within_s=60)
    assert set(owners_of_epochs(await claims_of(database) | await claims_of(new_database))) == {1}
    await judge(fleet, client, deposed.pid, promoted_s)


async def until_deposed_has_ended(dsn: str, turns: list[str], at_least: int = 5) -> list[str]:
    """Those of the turns that have ended in this database, once there are some."""
    for _ in range(100):
        rows = await ask(
            dsn,
            "SELECT turn_id::text FROM argosy.turns WHERE turn_id = ANY ($1::uuid[]) AND ended_at IS NOT NULL",
            turns,
        )
        if len(rows) >= at_least:
            return [row[0] for row in rows]
        await asyncio.sleep(0.2)
    raise AssertionError(f"only {len(rows)} turns ended at the old primary")
