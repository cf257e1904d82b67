"""What gateways read and write, on the oldest and the newest PostgreSQL, and at the size of a real backlog."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from argosy import ids
from argosy.store.queries import load_queries
from argosy.store.session_settings import SESSION_SETTINGS

LANE, TENANT, SESSION = "default", "default", "deep"
SESSION_ID = ids.session_id_of(TENANT, LANE, SESSION)
BUCKET = ids.bucket_of(SESSION_ID)


@pytest.fixture
async def backlog(database: str) -> Any:
    """20,000 turns of one session wait, and 20,000 of another have ended; nothing was analyzed."""
    connection = await asyncpg.connect(database, server_settings={"search_path": "argosy"})
    for name, status in ((SESSION, "queued"), ("done", "completed")):
        session_id = ids.session_id_of(TENANT, LANE, name)
        await connection.execute(
            "INSERT INTO sessions (session_id, tenant, lane, bucket, name) VALUES ($1, $2, $3, $4, $5)",
            session_id, TENANT, LANE, ids.bucket_of(session_id), name,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, on_busy,"
            "                   idempotency_key, ended_at)"
            " SELECT gen_random_uuid(), $1, $2, $3, $4, CASE WHEN $5 = 'queued' THEN nextval('places') END, 'echo', $5,"
            "        'enqueue', 'key-' || n, CASE WHEN $5 = 'completed' THEN now() END"
            " FROM generate_series(1, 20000) AS n",
            TENANT, LANE, ids.bucket_of(session_id), session_id, status,
        )  # fmt: skip
    yield connection
    await connection.close()


def scans(plan: Any) -> list[str]:
    """Tables that a plan reads from end to end."""
    node = plan.get("Plan", plan)
    found = [node["Relation Name"]] if node["Node Type"] == "Seq Scan" else []
    return found + [each for child in node.get("Plans", []) for each in scans(child)]


async def test_no_read_of_a_client_scans_the_turns(backlog: asyncpg.Connection) -> None:
    turn_id = await backlog.fetchval("SELECT turn_id FROM turns WHERE status = 'queued' ORDER BY place DESC LIMIT 1")
    begin = (datetime.max.replace(tzinfo=UTC), uuid.UUID(int=2**128 - 1))
    reads: dict[str, tuple[str, tuple[Any, ...]]] = {
        "get_turn": ("turn", (turn_id, TENANT, LANE, 100, 1_000)),
        "find_turn": ("turn", (turn_id, TENANT, LANE)),
        "find_ended_turns": ("turn", ([turn_id] * 500, [TENANT] * 500, LANE)),
        "find_turns_by_key": ("turn", ([SESSION_ID] * 1_000, [f"key-{n}" for n in range(1_000)], TENANT, LANE)),
        "list_turn_events": ("event", (turn_id, TENANT, LANE, 0, 100, 1_000, 1_000)),
        "list_stream_events": ("event", (turn_id, TENANT, LANE, 7, 100, 1_000, 1_000)),
        "find_moved_turns": ("turn", ([turn_id] * 500, [1] * 500)),
        "find_common_event": ("turn", (turn_id, TENANT, LANE, 9, 1)),
        "find_common_session_event": ("turn", (SESSION_ID, TENANT, LANE, 9, 9, 1, 1_000)),
        "find_placed_turn": ("turn", (SESSION_ID, TENANT, LANE, 9)),
        "find_present_place": ("turn", (SESSION_ID, TENANT, LANE)),
        "list_session_turns": ("turn", (SESSION_ID, TENANT, LANE, None, None, *begin, 51)),
        "explain_turn": ("turn", (turn_id, TENANT, LANE, 10.0, 0, 600.0)),
        "measure_partitions": ("fleet", (LANE, [0, 1], [0, 512], [511, 1023], 100, 1_000)),
        "get_session": ("session", (SESSION_ID, TENANT, LANE)),
    }

    found = {}
    for name, (file, arguments) in reads.items():
        statement = await backlog.prepare("EXPLAIN (FORMAT JSON) " + load_queries(file)[name])
        plan = json.loads(await statement.fetchval(*arguments))[0]
        found[name] = [table for table in scans(plan) if table in {"turns", "events", "inbox"}]

    assert found == {name: [] for name in reads}


async def test_a_sessions_place_is_found_without_reading_its_backlog(backlog: asyncpg.Connection) -> None:
    for name, value in SESSION_SETTINGS.items():
        await backlog.execute("SELECT set_config($1, $2, false)", name, value)
    for name, arguments in (
        ("find_placed_turn", (SESSION_ID, TENANT, LANE, 10_000)),
        ("find_present_place", (SESSION_ID, TENANT, LANE)),
        ("find_common_session_event", (SESSION_ID, TENANT, LANE, 20, 1, 1, 1_000)),
    ):
        statement = await backlog.prepare("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + load_queries("turn")[name])
        plan = json.loads(await statement.fetchval(*arguments))[0]["Plan"]
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 200, json.dumps(plan, indent=1)


async def test_what_waits_is_counted_to_a_bound(backlog: asyncpg.Connection) -> None:
    row = await backlog.fetchrow(load_queries("session")["get_session"], SESSION_ID, TENANT, LANE)

    assert row["turns_queued"] == 10_000
