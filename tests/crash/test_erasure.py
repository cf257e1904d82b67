"""A session that was forgotten stands neither in Postgres nor in the files of a shard, whoever was killed meanwhile."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.harness.client import Client
from tests.harness.fleet import WORKFLOWS, Fleet
from tests.harness.processes import Managed, free_port
from tests.shards.processes import ShardProcess

MARKER = "quetzalmarker"
SECRET = "a secret of the tests, long enough"
QUICK = {
    "MAINTENANCE_TICK_S": "0.2",
    "MAINTENANCE_TIMEOUT_S": "30",
    "LEADER_SILENT_S": "0.9",
    "RETENTION_BATCH_MAX": "2",
}


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[ShardProcess]:
    shard = ShardProcess(tmp_path / "shard", GRAPH_SERVICE_AUTH_SECRET=SECRET)
    shard.start()
    yield shard
    shard.bury()


@pytest.fixture
def settings(shard: ShardProcess) -> dict[str, str]:
    return {
        "ARGOSY_WORKFLOWS": f"{WORKFLOWS},{Path(__file__).with_name('erasing.py')}",
        "GRAPH_SERVICE_ENDPOINTS": shard.endpoint,
    }


def begin_maintain(fleet: Fleet, crash_at: str = "") -> Managed:
    port = free_port()
    settings = {**QUICK, "METRICS_PORT": str(port), "ARGOSY_CRASH_AT": crash_at}
    return fleet.start_process("maintain", ["maintain"], port, settings, "METRICS_HOST")


async def remember(client: Client, session: str, text: str) -> str:
    """One turn of a session, which has ended; its id."""
    body = json.dumps({"workflow": "remembers", "input": {"text": text}})
    reply = await client.request(
        "POST",
        f"/v1/sessions/{session}/turns",
        body,
        content_type="application/json",
        idempotency_key=f"{text}-{time.monotonic_ns()}",
        prefer="wait=20",
    )
    assert reply.json()["status"] == "completed", reply.text
    return str(reply.json()["turn_id"])


async def search(client: Client, text: str) -> list[str]:
    """The nodes of the shared graph that have a text."""
    reply = await client.request(
        "POST", "/v1/graphs/shared/search", json.dumps({"text": text}), content_type="application/json"
    )
    return sorted(hit["node"]["id"] for hit in reply.json()["hits"])


async def until_done(client: Client, erasure_id: str) -> dict[str, Any]:
    until_s = time.monotonic() + 60
    while (found := (await client.request("GET", f"/v1/erasures/{erasure_id}")).json())["status"] != "done":
        assert time.monotonic() < until_s, found
        await asyncio.sleep(0.1)
    return dict(found)


async def tables_with(dsn: str, marker: str) -> list[str]:
    """The tables that have a text, as a dump would show it."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "argosy"})
    found = []
    for (table,) in await connection.fetch("SELECT tablename::text FROM pg_tables WHERE schemaname = 'argosy'"):
        text = str(await connection.fetch(f"SELECT t::text FROM {table} AS t"))  # noqa: S608
        if marker in text or marker.encode().hex() in text:
            found.append(table)
    await connection.close()
    return sorted(found)


def files_with(shard: ShardProcess, marker: str) -> list[str]:
    """The files of graphs that have a text."""
    graphs = [each for each in shard.folder.rglob("*.db*") if each.is_file()]
    return [each.name for each in graphs if marker.encode() in each.read_bytes()]


async def erased(fleet: Fleet, shard: ShardProcess, crash_at: str = "") -> dict[str, Any]:
    """The erasure of a session of three turns, once it is done; at a crash point its leader is killed."""
    client = Client(fleet.url, None)  # type: ignore[arg-type]
    turns = [await remember(client, MARKER, MARKER) for _ in range(3)]
    kept = await remember(client, "kept", "kept")
    assert len(await search(client, MARKER)) == 3
    assert files_with(shard, MARKER)
    asked = {"kind": "session", "target": MARKER, "confirm": MARKER}
    reply = await client.request("POST", "/v1/erasures", json.dumps(asked), content_type="application/json")

    leader = begin_maintain(fleet, crash_at)
    if crash_at:
        assert await asyncio.to_thread(leader.wait_dead, 60) == -9
        begin_maintain(fleet)
    done = await until_done(client, reply.json()["erasure_id"])

    assert [(await client.request("GET", f"/v1/turns/{each}")).status_code for each in turns] == [404] * 3
    assert (await client.request("GET", f"/v1/sessions/{MARKER}")).status_code == 404
    assert (await client.request("GET", f"/v1/turns/{kept}")).json()["result"] == "kept"
    assert await search(client, MARKER) == []
    assert await search(client, "kept") == ["kept 0", "kept 1", "kept 2"]
    assert files_with(shard, MARKER) == []
    assert await tables_with(fleet.environment["STATE_DB_URI"], MARKER) == []
    await remember(client, MARKER, "later")  # the name is free
    await client.close()
    return done


@pytest.mark.parametrize("log_name", ["postgres"])
async def test_a_session_that_was_forgotten_stands_nowhere(fleet: Fleet, shard: ShardProcess) -> None:
    await asyncio.to_thread(fleet.worker)

    done = await erased(fleet, shard)

    removed = {(each["where"], each["what"]): each["removed"] for each in done["receipt"]}
    assert (done["target"], done["waits_for"]) == (None, "")
    assert [removed["postgres", each] for each in ("turns", "sessions")] == [3, 1]
    assert removed["postgres log", "records"] == 3
    assert (removed["graph shared", "nodes"], removed["shards", "graphs"]) == (3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("log_name", ["postgres", "kafka"])
@pytest.mark.parametrize(
    "point", ["erase_forgot", "erase_scrubbed", *(f"erase_stepped:{number}" for number in range(1, 8))]
)
async def test_whoever_is_killed_in_whatever_stage_nothing_of_it_is_left(
    point: str, fleet: Fleet, shard: ShardProcess, log_name: str
) -> None:
    await asyncio.to_thread(fleet.worker)

    done = await erased(fleet, shard, crash_at=point)

    left = {each["where"] for each in done["receipt"] if each["until"]}
    assert bool(left) == (log_name == "kafka")
