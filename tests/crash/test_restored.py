"""A database restored from an older backup, as docs/restore.md has it: nothing that the log holds is lost."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.checker.history import violations
from tests.checker.seen import Effect, History
from tests.gateway.stream.reader import Reader
from tests.harness.client import Client
from tests.harness.fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["kafka"])]

STREAM = {"accept": "text/event-stream"}


async def administer(fleet: Fleet, *statements: str) -> None:
    """Statements about databases, in one that is none of ours. {}: the name of the fleet's."""
    dsn = fleet.environment["STATE_DB_URI"]
    name = urlsplit(dsn).path.strip("/")
    connection = await asyncpg.connect(dsn.replace(f"/{name}", "/postgres", 1))
    try:
        for statement in statements:
            await connection.execute(statement.format(name))
    finally:
        await connection.close()


async def fetchval(fleet: Fleet, statement: str) -> object:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"])
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def of_the_history_that_counts(history: History) -> tuple[Effect, ...]:
    """What had effects after the backup had them once more after the restore, under the same keys: the last ones."""
    last = {(effect.turn_id, effect.step_key): effect for effect in history.effects}
    return tuple(sorted(last.values(), key=lambda effect: effect.started))


async def stop_all(fleet: Fleet) -> None:
    for process in fleet.processes:
        if process.process.poll() is None:
            await asyncio.to_thread(process.terminate)


@pytest.mark.scenario(
    "database restored from a backup", "every turn that was answered 202 ends; none is lost or swapped"
)
async def test_every_turn_that_was_accepted_after_the_backup_ends_after_the_restore(
    idle_fleet: Fleet, client: Client
) -> None:
    fleet = idle_fleet
    await asyncio.to_thread(fleet.start, 2)
    before = [await client.post(f"session-{number % 10}", "steps", effects=2, n=2) for number in range(20)]
    waiting = await client.post("waiting", "waits", effects=2)
    await client.until_status(before)
    await client.until_status([waiting], {"suspended"})
    await stop_all(fleet)
    await administer(fleet, "CREATE DATABASE {0}_backup TEMPLATE {0}")

    await asyncio.to_thread(fleet.start, 2)
    after = [await client.post(f"session-{number % 10}", "steps", effects=2, n=2) for number in range(60)]
    await client.signal(waiting, "go", 1)
    await client.until_status(after[:30])
    still_beating = await asyncio.to_thread(fleet.run, "migrate", "--after-restore")
    await stop_all(fleet)
    epoch_before = await fetchval(fleet, "SELECT max(epoch) FROM argosy.partitions")
    await administer(fleet, "DROP DATABASE {0} WITH (FORCE)", "ALTER DATABASE {0}_backup RENAME TO {0}")
    code, output = await asyncio.to_thread(fleet.run, "migrate", "--after-restore")
    await asyncio.to_thread(fleet.start, 2)

    assert still_beating[0] == 1
    assert "stop them first" in still_beating[1]
    assert code == 0, output
    assert "the lineage is raised" in output
    await client.until_status([*before, *after])
    await client.until_status([waiting], {"suspended"})  # what came to it over Postgres alone went with Postgres
    await client.signal(waiting, "go", 2)
    await client.until_status([waiting])
    epoch_after = await fetchval(fleet, "SELECT min(epoch) FROM argosy.partitions")
    assert isinstance(epoch_before, int)
    assert isinstance(epoch_after, int)
    assert epoch_after > epoch_before
    history = await client.history(disruptions=2, is_truth_old=True)
    assert violations(history._replace(effects=of_the_history_that_counts(history))) == []


@pytest.mark.scenario("client of a restored database", "it is told to begin anew where the history went back")
async def test_a_client_is_told_where_the_history_that_it_saw_is_no_more_and_no_id_comes_again(
    idle_fleet: Fleet, client: Client
) -> None:
    fleet = idle_fleet
    await asyncio.to_thread(fleet.start, 1)
    turn_id = await client.post("waiting", "waits", effects=2)
    await client.until_status([turn_id], {"suspended"})
    path = f"/v1/turns/{turn_id}/events"
    async with Reader(fleet.url, path, STREAM) as reader:
        before = await reader.until_type("wait.started")
    await stop_all(fleet)
    await administer(fleet, "CREATE DATABASE {0}_backup TEMPLATE {0}")

    await asyncio.to_thread(fleet.start, 1)
    async with Reader(fleet.url, path, STREAM | {"last-event-id": before[-1].id}) as reader:
        await client.signal(turn_id, "go", 1)
        lost = await reader.until_closed(within_s=30)
    await stop_all(fleet)
    await administer(fleet, "DROP DATABASE {0} WITH (FORCE)", "ALTER DATABASE {0}_backup RENAME TO {0}")
    code, output = await asyncio.to_thread(fleet.run, "migrate", "--after-restore")
    assert code == 0, output
    await asyncio.to_thread(fleet.start, 1)
    await client.until_status([turn_id], {"suspended"})
    async with Reader(fleet.url, path, STREAM | {"last-event-id": lost[-2].id}) as reader:
        await reader.until_type("resync")
        await client.signal(turn_id, "go", 2)
        again = await reader.until_closed(within_s=30)

    assert lost[-1].type == again[-1].type == "turn.completed"
    assert again[0].type == "resync"
    known = {each.seq for each in before}
    assert again[0].data["from_seq"] == max(known)
    told = [each for each in again if each.type != "resync"]
    assert sorted(known | {each.seq for each in told}) == list(range(1, told[-1].seq + 1))
    assert again[0].id == before[-1].id  # where it begins anew
    assert not {each.id for each in told} & {each.id for each in (*before, *lost)}
