"""Others who may append to the log: what they write is no turn where records have MACs, and a fleet goes there and
back without losing one of its own.
"""

import asyncio
import time
import uuid
from collections import Counter
from typing import Final

import asyncpg
import pytest

from argosy import config, ids, record
from argosy.log import Entry, Outcome
from argosy.logs.open import open_writer
from argosy.logs.topic import turns_topic
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed

TENANT: Final = "somebody-else"
STEPS: Final = ("unsigned", "signing", "signed")
POSTED: Final = 40  # by each step


@pytest.fixture
def partitions() -> int:
    return 4


def foreign_turn(partitions: int, days_old: float = 0.0) -> tuple[uuid.UUID, Entry]:
    """A turn of a tenant that the producer is not, in a record as a gateway wrote it so many days ago."""
    session = f"s-{uuid.uuid4().hex}"
    session_id = ids.session_id_of(TENANT, "default", session)
    bucket = ids.bucket_of(session_id)
    turn_id = ids.TurnIdMint(TENANT, "default").mint(bucket, int((time.time() - days_old * 86_400) * 1_000))
    value = record.encode(record.TurnRequested(turn_id.bytes, TENANT, "default", session, "echo", b'{"n":1}'))
    return turn_id, Entry(ids.partition_of(bucket, partitions), session_id.bytes, value)


async def append(fleet: Fleet, entries: list[Entry], **settings: str) -> None:
    """Append to the fleet's topic, from a process that has other settings than its gateways."""
    loaded = config.load({**fleet.environment, **settings})
    writer = await open_writer(loaded, loaded.state_db_uri, turns_topic(loaded))
    try:
        results = await writer.append(entries)
    finally:
        await writer.close()
    assert {each.outcome for each in results} == {Outcome.APPENDED}


async def stored(fleet: Fleet) -> tuple[Counter[str], set[uuid.UUID]]:
    """Return how many dead letters there are of each code, and the turns of the other tenant."""
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"})
    try:
        codes = Counter(row["code"] for row in await connection.fetch("SELECT code FROM dead_letters"))
        turns = await connection.fetch("SELECT turn_id FROM turns WHERE tenant = $1", TENANT)
    finally:
        await connection.close()
    return codes, {row["turn_id"] for row in turns}


@pytest.mark.parametrize("mode", [pytest.param("unsigned", marks=pytest.mark.slow), "signing", "signed"])
async def test_what_somebody_else_appends_is_a_turn_only_where_no_record_needs_a_mac(
    idle_fleet: Fleet, client: Client, mode: str, partitions: int
) -> None:
    idle_fleet.environment["LOG_RECORDS"] = mode
    await asyncio.to_thread(idle_fleet.start, 1)
    bare, forged, moved = (foreign_turn(partitions) for _ in range(3))

    await append(idle_fleet, [bare[1]], LOG_RECORDS="unsigned")
    await append(
        idle_fleet, [forged[1]], LOG_RECORDS="signing", GRAPH_SERVICE_AUTH_SECRET="a secret that somebody else made up"
    )
    stolen = moved[1]._replace(headers=(("argosy-mac", bytes(20)),))
    await append(idle_fleet, [stolen], LOG_RECORDS="unsigned")
    own = [
        await client.post(f"s-{number}", "echo") for number in range(2 * partitions)
    ]  # in every partition behind them
    await client.until_status(own, within_s=60)
    codes, turns = await stored(idle_fleet)

    expected = {
        "unsigned": (Counter[str](), {bare[0], forged[0], moved[0]}),
        "signing": (Counter[str](), {bare[0], forged[0], moved[0]}),
        "signed": (Counter(forged_record=2, unsigned_record=1), set[uuid.UUID]()),
    }
    assert (codes, turns) == expected[mode]
    await client.judge(disruptions=0)


async def no_worker_for(fleet: Fleet, days: float) -> None:
    """As it is when nobody has accepted anything for so many days."""
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"})
    try:
        await connection.execute(
            "UPDATE positions SET accepted_through = now() - make_interval(secs => $1)", days * 86_400.0
        )
    finally:
        await connection.close()


@pytest.mark.slow
async def test_a_copy_of_an_old_record_is_no_new_turn_and_a_record_that_waited_for_weeks_is(
    idle_fleet: Fleet, client: Client, partitions: int
) -> None:
    idle_fleet.environment["LOG_RECORDS"] = "signed"
    (worker,) = await asyncio.to_thread(idle_fleet.start, 1)
    await client.until_status([await client.post(f"s-{number}", "echo") for number in range(2 * partitions)])
    assert await asyncio.to_thread(worker.terminate) == 0
    copies = [foreign_turn(partitions, days_old=22) for _ in range(2 * partitions)]
    waited = [foreign_turn(partitions, days_old=19) for _ in range(2 * partitions)]

    await no_worker_for(idle_fleet, days=20)
    await append(idle_fleet, [entry for _, entry in (*copies, *waited)], LOG_RECORDS="signed")
    await asyncio.to_thread(idle_fleet.worker)
    own = [await client.post(f"s-{number}", "echo") for number in range(2 * partitions)]
    await client.until_status(own, within_s=60)

    codes, turns = await stored(idle_fleet)
    assert codes == Counter(expired_record=len(copies))
    assert turns == {turn_id for turn_id, _ in waited}
    await client.judge(disruptions=0)


@pytest.mark.slow
async def test_a_fleet_goes_from_no_macs_to_required_ones_and_back_under_load(
    idle_fleet: Fleet, client: Client
) -> None:
    idle_fleet.environment["LOG_RECORDS"] = "unsigned"
    (worker,) = await asyncio.to_thread(idle_fleet.start, 1)
    gateway = idle_fleet.processes[0]
    turns: list[str] = []

    for step in (*STEPS[1:], *reversed(STEPS[:-1])):
        await client.until_status(turns, within_s=60)  # the lag is 0 before each step
        posting = asyncio.ensure_future(post(client, step, turns))
        gateway, worker = await replaced(idle_fleet, gateway, worker, step)
        await posting

    await client.until_status(turns, within_s=60)
    codes, _ = await stored(idle_fleet)
    assert codes == Counter()
    assert len(turns) == 4 * POSTED
    await client.judge(disruptions=0)


async def post(client: Client, step: str, turns: list[str]) -> None:
    for number in range(POSTED):
        turns.append(await client.post(f"{step}-{number % 8}", "echo"))
        await asyncio.sleep(0.05)  # it lasts as long as the processes are replaced


async def replaced(fleet: Fleet, gateway: Managed, worker: Managed, step: str) -> tuple[Managed, Managed]:
    """Replace the worker and then the gateway by ones that are a step further."""
    fleet.environment["LOG_RECORDS"] = step

    def replace() -> tuple[Managed, Managed]:
        new_worker = fleet.worker()
        assert worker.terminate() == 0
        assert gateway.terminate() == 0
        return fleet.gateway(), new_worker

    return await asyncio.to_thread(replace)
