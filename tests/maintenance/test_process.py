"""`argosy maintain` as a process: killed, stopped, cut off, started twice, and refused."""

import asyncio
import json
import random
import re
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from argosy.cli.processes import maintain
from argosy.lineage import count_of
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.logs import BOTH_IN_FAULTS
from tests.harness.processes import Managed, free_port, two_free_ports

QUICK = {"MAINTENANCE_TICK_S": "0.2", "MAINTENANCE_TIMEOUT_S": "5", "LEADER_SILENT_S": "0.9"}
ROLES = {"trim", "retention", "horizon", "graphs", "rebalance", "erase", "census"}


def test_the_help_names_every_role() -> None:
    assert {role for role in ROLES if role in str(maintain.__doc__)} == ROLES


on_postgres = pytest.mark.parametrize("log_name", ["postgres"])


def start(fleet: Fleet, **settings: str) -> Managed:
    port = free_port()
    process = fleet.start_process("maintain", ["maintain"], port, {"METRICS_PORT": str(port), **QUICK, **settings})
    process.wait_ready()
    return process


async def leaders(client: Client) -> dict[str, dict[str, Any]]:
    answer = await client.get("/v1/fleet/leaders")
    assert answer.status_code == 200, answer.text
    return {each["role"]: each for each in json.loads(answer.text)["leaders"]}


async def until_led(client: Client, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, dict[str, Any]]:
    """Both roles, once both are led as wanted."""
    found: dict[str, dict[str, Any]] = {}
    try:
        async with asyncio.timeout(15):
            while True:
                found = await leaders(client)
                if found.keys() == ROLES and all(each["leads"] and is_so(each) for each in found.values()):
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not led as wanted within 15 s: {found}") from None


async def until_led_by(client: Client, process: Managed) -> dict[str, dict[str, Any]]:
    return await until_led(client, lambda each: each["pid"] == process.pid and each["ticked_at"] is not None)


async def execute(fleet: Fleet, statement: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(
        fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"}, timeout=10
    )
    try:
        rows: list[Any] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()


async def cut_off(fleet: Fleet) -> None:
    """The sessions that hold the locks of roles end; their processes live on."""
    await execute(
        fleet,
        "SELECT pg_terminate_backend(k.pid) FROM pg_locks AS k JOIN leaders AS l"
        " ON (k.classid::bigint << 32 | k.objid::bigint) = role_lock(l.role)"
        " WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1",
    )


@on_postgres
async def test_a_leader_is_shown_and_so_is_its_process(fleet: Fleet, client: Client) -> None:
    await execute(
        fleet,
        "INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)"
        " VALUES ('log', 0, 1, 'default', '', 'invalid_record', '')",
    )
    process = start(fleet)

    found = await until_led_by(client, process)

    assert process.metric("argosy_leader") == len(ROLES)
    assert process.metric('argosy_dead_letters_kept{lane="default"}') == 1
    assert process.metric("argosy_leader_term") == sum(count_of(int(each["term"])) for each in found.values())
    page = json.loads((await client.get("/v1/fleet")).text)
    shown = [(each["kind"], each["pid"], each["state"], each["worker_id"]) for each in page["workers"]]
    assert shown == [("maintenance", process.pid, "alive", found["trim"]["worker_id"])]
    assert [each["lane"] for each in page["lanes"]] == ["default"]
    assert page["lanes"][0]["workers_alive"] == 0
    assert process.terminate() == 0
    assert json.loads((await client.get("/v1/fleet")).text)["workers"] == []


@on_postgres
async def test_another_leads_when_the_leader_is_killed(fleet: Fleet, client: Client) -> None:
    first = start(fleet)
    before = await until_led_by(client, first)
    second = start(fleet)

    first.kill()

    after = await until_led_by(client, second)
    assert all(int(after[role]["term"]) == int(before[role]["term"]) + 1 for role in ROLES)
    assert second.terminate() == 0


@on_postgres
async def test_another_leads_when_the_leader_stops_and_what_it_does_when_it_wakes_changes_nothing(
    fleet: Fleet, client: Client
) -> None:
    first = start(fleet)
    await until_led_by(client, first)
    second = start(fleet)

    first.send(signal.SIGSTOP)
    after = await until_led_by(client, second)
    first.send(signal.SIGCONT)
    async with asyncio.timeout(10):
        while first.metric("argosy_leader") or first.tail().count("leader.resigned") < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert {role: each["term"] for role, each in (await leaders(client)).items()} == {
        role: each["term"] for role, each in after.items()
    }
    second.kill()
    await until_led_by(client, first)


@on_postgres
async def test_leaders_whose_connections_are_cut_stand_again(fleet: Fleet, client: Client) -> None:
    process = start(fleet)
    before = await until_led_by(client, process)

    await cut_off(fleet)

    after = await until_led(client, lambda each: int(each["term"]) > int(before[each["role"]]["term"]))
    assert {each["pid"] for each in after.values()} == {process.pid}


@on_postgres
async def test_up_maintains_too(fleet: Fleet, client: Client) -> None:
    port, metrics = free_port(), two_free_ports()
    fleet.up(PORT=str(port), AGENT_DISPATCH_BACKEND="inline", METRICS_PORT=str(metrics), **QUICK)

    found = await until_led(client, lambda each: each["ticked_at"] is not None)

    assert {each["outcome"].partition(";")[0] for each in found.values()} <= {
        "0 lanes trimmed",
        "1 lanes trimmed",
        "0 turns and 0 stray rows forgotten",
        "nobody keeps dead rows",
        "0 graphs expired, 0 dropped",
        "0 moves planned, 0 carried on",
        "0 erasures done, 0 wait",
        "0 open turns counted",
    }
    worker, gateway = (httpx2.get(f"http://127.0.0.1:{each}/metrics").text for each in (metrics, metrics + 1))
    assert re.search(r"^argosy_slots [1-9]", worker, re.M)
    assert 'argosy_gateway_requests_total{route="/readyz"' in gateway


@on_postgres
async def test_a_shard_that_it_cannot_reach_is_shown(fleet: Fleet, client: Client) -> None:
    await execute(
        fleet, "INSERT INTO shards (member_id, endpoint) VALUES (gen_random_uuid(), 'unix:' || $1)", "/nowhere"
    )

    process = start(fleet)

    async with asyncio.timeout(15):
        while process.metric("argosy_engine_calls_total") < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert process.metric("argosy_engine_shard_up") == 0


@BOTH_IN_FAULTS
async def test_what_ended_long_ago_goes_from_the_log_and_from_postgres_and_never_runs_again(
    fleet: Fleet, client: Client
) -> None:
    worker = fleet.worker()
    old = [await client.post(f"s-{number}", "echo", effects=0) for number in range(20)]
    await client.until_status(old)
    await execute(
        fleet,
        "UPDATE turns SET accepted_at = accepted_at - $1::interval, ended_at = ended_at - $1::interval",
        timedelta(days=2),
    )
    young = [await client.post(f"s-{number}", "echo", effects=0) for number in range(5)]
    await client.until_status(young)

    process = start(fleet, TRIM_LAG_S="0", RETENTION_S="3600")
    async with asyncio.timeout(20):
        while len(await execute(fleet, "SELECT FROM turns")) > 5:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert process.terminate() == 0
    worker.kill()
    await execute(fleet, "UPDATE positions SET position = 0")  # whatever made it read the log again
    fleet.worker()
    again = await client.post("s-0", "echo", effects=0)
    await client.until_status([again])

    left = {str(row[0]) for row in await execute(fleet, "SELECT turn_id FROM turns")}
    assert left == {*young, again}
    assert len(await execute(fleet, "SELECT FROM sessions")) == 5


@pytest.mark.slow
@on_postgres
async def test_of_three_processes_one_leads_whatever_happens_to_them(fleet: Fleet, client: Client) -> None:
    """A minute of kills, stops and cuts: terms only grow, and somebody leads again each time."""
    dice = random.Random(4)
    living = [start(fleet) for _ in range(3)]
    seen = dict.fromkeys(ROLES, 0)
    for _ in range(12):
        found = await until_led(client, lambda _: True)
        assert all(int(found[role]["term"]) >= seen[role] for role in ROLES)
        seen = {role: int(each["term"]) for role, each in found.items()}
        number = dice.randrange(3)
        match dice.choice(("kill", "stop", "cut")):
            case "kill":
                living[number].kill()
                living[number] = start(fleet)
            case "stop":
                living[number].send(signal.SIGSTOP)
                await asyncio.sleep(3)
                living[number].send(signal.SIGCONT)
            case "cut":
                await cut_off(fleet)
        await asyncio.sleep(1)

    await until_led(client, lambda each: each["ticked_at"] is not None)
    assert sum(process.metric("argosy_leader") for process in living) == len(ROLES)
