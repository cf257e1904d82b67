"""A fleet that seals payloads: users notice nothing, and nothing that they said is in the log or in Postgres."""

import asyncio
import json
import subprocess
import uuid
from typing import Any, Final

import asyncpg
import pytest
from confluent_kafka import Consumer

from argosy.backup.database import find_program
from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import ROOT

WORD: Final = b"swordfish"  # in every payload
CLEAR: Final = b"mackerel"  # in the names of sessions: what looks for WORD finds this one
OLD, NEW = "11" * 32, "22" * 32
JSON: Final = {"content_type": "application/json"}


@pytest.fixture
def settings() -> dict[str, str]:
    return {
        "PAYLOAD_KEYS": OLD,
        "PAYLOAD_KEYS_CACHE_S": "0.2",
        "ARGOSY_WORKFLOWS": str(ROOT / "tests" / "journey" / "sealing_workflows.py"),
    }


async def post(client: Client, session: str, workflow: str, key: str, said: str = "") -> Any:
    body = json.dumps({"workflow": workflow, "input": f"{WORD.decode()}{said}"})
    path = f"/v1/sessions/{CLEAR.decode()}-{session}/turns"
    return (await client.request("POST", path, body, idempotency_key=key, **JSON)).json()


async def get(client: Client, path: str) -> Any:
    return (await client.request("GET", path)).json()


async def until(client: Client, path: str, member: str, value: str) -> Any:
    """What an address answers, once a member of it has this value."""
    async with asyncio.timeout(60):
        while True:
            answer = await get(client, path)
            if answer.get(member) == value:
                return answer
            await asyncio.sleep(0.05)


async def until_status(client: Client, turn_id: str, status: str) -> Any:
    return await until(client, f"/v1/turns/{turn_id}", "status", status)


async def database_of(fleet: Fleet) -> bytes:
    """All that Postgres has, its bytes as they are."""
    command = [await find_program("pg_dump", 18), "--inserts", f"--dbname={fleet.environment['STATE_DB_URI']}"]
    dump = (await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)).stdout
    as_hex = {word: word.hex().encode() for word in (WORD, CLEAR)}
    for word, hexadecimal in as_hex.items():
        dump = dump.replace(hexadecimal, word)
    return dump


def topic_of(fleet: Fleet) -> bytes:
    """All records of the lane's topic in Kafka, uncompressed; nothing where Postgres is the log."""
    if not fleet.bootstrap:
        return CLEAR
    consumer = Consumer(
        {
            "bootstrap.servers": fleet.bootstrap,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found, ended = b"", 0
    try:
        consumer.subscribe([f"{fleet.environment['KAFKA_TOPIC_PREFIX']}.default"])
        while ended < fleet.partitions:
            if (message := consumer.poll(30)) is None:
                raise AssertionError("the topic does not end")
            if message.error() is not None:
                ended += 1
            else:
                found += repr(message.headers()).encode() + (message.key() or b"") + (message.value() or b"")
    finally:
        consumer.close()
    return found


async def statement(fleet: Fleet, text: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(fleet.environment["STATE_DB_URI"], server_settings={"search_path": "argosy"})
    try:
        return list(await connection.fetch(text, *arguments))
    finally:
        await connection.close()


async def destroyed(fleet: Fleet) -> list[Any]:
    """Destroy the keys of the tenant, and return what they were."""
    keys = await statement(fleet, "SELECT * FROM tenant_keys WHERE tenant = 'default' AND wrapped IS NOT NULL")
    await statement(fleet, "SELECT destroy_tenant_keys('default')")
    return keys


@pytest.mark.slow
async def test_what_users_say_is_neither_in_the_log_nor_in_postgres(idle_fleet: Fleet, client: Client) -> None:
    fleet = idle_fleet
    (worker,) = await asyncio.to_thread(fleet.start, 1)
    word = WORD.decode()

    # A turn with steps, emits and a signal, over the death of its worker; another that fails; one with an early signal.
    kept = (await post(client, "a", "keeps", "k1"))["turn_id"]
    failed = (await post(client, "b", "fails", "k2"))["turn_id"]
    await until_status(client, kept, "suspended")
    assert (await post(client, "a", "keeps", "k1"))["turn_id"] == kept
    assert (await post(client, "a", "keeps", "k1", "else"))["code"] == "idempotency_mismatch"
    assert (await until_status(client, failed, "failed"))["error"]["message"] == f"{word} is wrong"
    database = await database_of(fleet)
    assert (WORD in database, CLEAR in database) == (False, True)
    worker.kill()
    signal = f"/v1/turns/{kept}/signals/go"
    for _ in range(2):  # the second one is the first again
        sent = await client.request("POST", signal, f'"{word} is said"', idempotency_key="s1", **JSON)
        assert sent.status_code == 202
    other = await client.request("POST", signal, '"something else"', idempotency_key="s1", **JSON)
    assert other.json()["code"] == "idempotency_mismatch"
    batch = json.dumps({"session": f"{CLEAR.decode()}-c", "workflow": "keeps", "input": word})
    answer = await client.request("POST", "/v1/turns:batch", batch, content_type="application/x-ndjson")
    early = answer.json()["turn_id"]
    await client.request("POST", f"/v1/turns/{early}/signals/go", f'"{word} is early"', **JSON)
    database = await database_of(fleet)
    assert (WORD in database, CLEAR in database) == (False, True)
    await asyncio.to_thread(fleet.worker)

    turn = await until_status(client, kept, "completed")
    found = f"{word} is found"
    assert turn["input"] == word
    assert turn["result"] == [found, f"{word} is said", found]
    assert (await until_status(client, early, "completed"))["result"][1] == f"{word} is early"
    events = (await get(client, f"/v1/turns/{kept}/events"))["events"]
    told = json.dumps([each["data"] for each in events])
    for payload in (found, f"{word} is said", f"{word} is emitted"):
        assert payload in told
    database, topic = await database_of(fleet), await asyncio.to_thread(topic_of, fleet)
    assert (WORD in database, CLEAR in database) == (False, True)
    assert (WORD in topic, CLEAR in topic) == (False, True)


@pytest.mark.slow
async def test_what_a_destroyed_key_sealed_is_unreadable_and_nothing_else_breaks(
    idle_fleet: Fleet, client: Client
) -> None:
    fleet = idle_fleet
    (worker,) = await asyncio.to_thread(fleet.start, 1)
    kept = (await post(client, "a", "keeps", "k1"))["turn_id"]
    ended = (await post(client, "b", "fails", "k2"))["turn_id"]
    await until_status(client, kept, "suspended")
    await until_status(client, ended, "failed")

    keys = await destroyed(fleet)
    unreadable = await until(client, f"/v1/turns/{ended}", "code", "payload_unreadable")
    assert (unreadable["status"], unreadable["retryable"]) == (410, False)
    events = (await get(client, f"/v1/turns/{ended}/events"))["events"]
    assert [each["type"] for each in events if each["data"] == {"payload_unreadable": True}] != []
    await client.request("POST", f"/v1/turns/{kept}/signals/go", '"new"', idempotency_key="s1", **JSON)
    explained = await until(client, f"/v1/turns/{kept}/explain", "status", "parked")
    assert "destroyed" in json.dumps(explained)

    # What is posted from now on has a new key, and goes its way.
    fresh = (await post(client, "c", "fails", "k3"))["turn_id"]
    await until_status(client, fresh, "failed")

    # One that waits in the log meanwhile is kept aside.
    assert await asyncio.to_thread(worker.terminate) == 0
    late = (await post(client, "d", "fails", "k4"))["turn_id"]
    keys += await destroyed(fleet)
    await asyncio.to_thread(fleet.worker)
    assert "destroyed" in json.dumps(await until(client, f"/v1/turns/{late}/explain", "status", "parked"))

    # The keys are back, from a backup: turns go on where they were.
    for row in keys:
        await statement(
            fleet,
            "UPDATE tenant_keys SET master = $2, wrapped = $3, destroyed_at = NULL"
            " WHERE tenant = 'default' AND key_id = $1",
            row["key_id"],
            row["master"],
            row["wrapped"],
        )
    await until_status(client, ended, "failed")
    assert (await client.request("POST", f"/v1/turns/{kept}/resume")).status_code == 202
    assert (await client.request("POST", f"/v1/turns/{late}/resume")).status_code == 202
    assert (await until_status(client, kept, "completed"))["result"][1] == "new"
    assert (await until_status(client, late, "failed"))["input"] == WORD.decode()


@pytest.mark.slow
async def test_a_fleet_gets_keys_and_other_master_keys_while_it_works(idle_fleet: Fleet, client: Client) -> None:
    fleet = idle_fleet
    keys = fleet.environment.pop("PAYLOAD_KEYS")
    worker = (await asyncio.to_thread(fleet.start, 1))[0]
    gateway = fleet.processes[0]
    kept = [(await post(client, "0", "keeps", "k0"))["turn_id"]]
    await until_status(client, kept[0], "suspended")

    steps = (
        {"PAYLOAD_KEYS": keys, "PAYLOAD_SEALING": "0"},
        {"PAYLOAD_KEYS": keys, "PAYLOAD_SEALING": "1"},
        {"PAYLOAD_KEYS": f"{OLD},{NEW}"},
        {"PAYLOAD_KEYS": f"{NEW},{OLD}"},
        {"PAYLOAD_KEYS": NEW},
    )
    for number, step in enumerate(steps, start=1):
        if step["PAYLOAD_KEYS"] == NEW:
            assert (await asyncio.to_thread(fleet.run, "keys", "check"))[0] == 0
            code, said = await asyncio.to_thread(fleet.run, "keys", "rotate")
            assert (code, said.count("keys are wrapped by")) == (0, 1)
        fleet.environment |= step
        new_worker = await asyncio.to_thread(fleet.worker)
        assert await asyncio.to_thread(worker.terminate) == 0
        assert await asyncio.to_thread(gateway.terminate) == 0
        worker, gateway = new_worker, await asyncio.to_thread(fleet.gateway)
        kept.append((await post(client, str(number), "keeps", f"k{number}"))["turn_id"])
        await until_status(client, kept[-1], "suspended")

    for turn_id in kept:
        sent = await client.request("POST", f"/v1/turns/{turn_id}/signals/go", '"go"', **JSON)
        assert sent.status_code == 202
    for turn_id in kept:
        assert (await until_status(client, turn_id, "completed"))["input"] == WORD.decode()
    (sealed,) = await statement(fleet, "SELECT count(*) FROM turns WHERE get_byte(input, 0) = 1")
    assert sealed[0] == 4
    fleet.environment["PAYLOAD_KEYS"] = OLD
    code, said = await asyncio.to_thread(fleet.run, "keys", "check")
    assert (code, "lost:" in said) == (1, True)
    fleet.environment.pop("PAYLOAD_KEYS")
    code, said = await asyncio.to_thread(fleet.run, "gateway")
    assert (code, "set PAYLOAD_KEYS" in said) == (1, True)
