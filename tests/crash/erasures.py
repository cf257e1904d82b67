"""What stands of something in a fleet's database and in the files of a shard, and the leader that erases it."""

import json
from pathlib import Path
from typing import Any

import asyncpg

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port
from tests.shards.processes import ShardProcess

MARKER = "quetzalmarker"
ERASING = Path(__file__).with_name("erasing.py")
_QUICK = {
    "MAINTENANCE_TICK_S": "0.2",
    "MAINTENANCE_TIMEOUT_S": "30",
    "LEADER_SILENT_S": "0.9",
    "RETENTION_BATCH_MAX": "2",
}


def begin_maintain(fleet: Fleet, crash_at: str = "") -> Managed:
    port = free_port()
    settings = {**_QUICK, "METRICS_PORT": str(port), "ARGOSY_CRASH_AT": crash_at}
    return fleet.start_process("maintain", ["maintain"], port, settings, "METRICS_HOST")


def forget(fleet: Fleet, kind: str, target: str, *more: str) -> tuple[int, str]:
    """`argosy forget`, until it is done; its exit code and its output."""
    return fleet.run("forget", kind, target, "--again", target, "--wait", "50", "--url", fleet.url, *more, within_s=90)


def removed_of(output: str) -> dict[tuple[str, str], int]:
    """What a receipt that a command has printed says was removed, by where and what."""
    shown = json.loads(output[output.index("{") :])
    return {(each["where"], each["what"]): each["removed"] for each in shown["receipt"]}


async def search(client: Client, graph: str, text: str) -> list[str]:
    """The nodes of a graph that have a text; none of a graph that is not there."""
    body = json.dumps({"text": text})
    reply = await client.request("POST", f"/v1/graphs/{graph}/search", body, content_type="application/json")
    assert reply.status_code in (200, 404), reply.text
    return sorted(hit["node"]["id"] for hit in reply.json().get("hits", []))


async def run_turn(client: Client, session: str, workflow: str, key: str = "", **job: Any) -> str:
    """A turn that has ended; its id."""
    reply = await client.request(
        "POST",
        f"/v1/sessions/{session}/turns",
        json.dumps({"workflow": workflow, "input": job}),
        content_type="application/json",
        idempotency_key=key,
        prefer="wait=30",
    )
    assert reply.json()["status"] == "completed", reply.text
    return str(reply.json()["turn_id"])


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


async def where_is(fleet: Fleet, shard: ShardProcess, marker: str) -> list[str]:
    """Where a text stands: tables and files."""
    return await tables_with(fleet.environment["STATE_DB_URI"], marker) + files_with(shard, marker)
