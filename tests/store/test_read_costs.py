"""What reads of heads and due rows cost: by an index, and no more for a longer backlog."""

import json
import random
from typing import Any

import asyncpg
import pytest

from argosy.store.pool import connect
from argosy.store.queries import load_queries
from tests.store.due import NIL, write
from tests.store.hand import LANE, TENANT, Hand, New


async def test_due_rows_are_read_by_the_index_of_their_queue(store_dsn: str, hand: Hand) -> None:
    turn = New("a")
    await hand.accept(turn)
    await write(hand, turn, "timer", "sleep", 20_000)
    await write(hand, turn, "cancel")
    connection: asyncpg.Connection = await connect(store_dsn)
    await connection.execute("VACUUM turns")  # what other tests left dead is not what is counted
    await connection.execute("VACUUM sessions")

    arguments: tuple[object, ...] = (LANE, [0], [1023], [], [1, 2, 3, 4], [10, 10, 10, 10], 1_000)
    statement = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + load_queries("head")["due_inbox"]
    plan = json.loads(await connection.fetchval(statement, *arguments))[0]["Plan"]

    await connection.close()
    assert plan["Actual Rows"] == 11
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 200, json.dumps(plan, indent=1)


SESSIONS, TURNS_PER_SESSION = 50, 400


def rows_read(plan: Any) -> float:
    """Rows that a plan took from turns, in all its loops."""
    own = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Relation Name") == "turns" else 0
    return float(own + sum(rows_read(each) for each in plan.get("Plans", [])))


async def fill(connection: asyncpg.Connection, n: int) -> None:
    """A session with a backlog."""
    turn = New(f"s{n}")
    await connection.execute(
        "INSERT INTO sessions (session_id, tenant, lane, bucket, name) VALUES ($1, $2, $3, $4, $5)",
        turn.session_id, TENANT, LANE, turn.bucket, turn.session,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, on_busy)"
        " SELECT gen_random_uuid(), $1, $2, $3, $4, nextval('places'), 'echo', 'queued', 'enqueue'"
        " FROM generate_series(1, $5::integer)",
        TENANT, LANE, turn.bucket, turn.session_id, TURNS_PER_SESSION,
    )  # fmt: skip


@pytest.mark.parametrize(
    "analyzed", ["never", "while empty", "while small", "after 1", "after 2", "after 5", "after 25", "now"]
)
async def test_no_read_costs_more_for_a_longer_backlog(store_dsn: str, hand: Hand, analyzed: str) -> None:
    connection: asyncpg.Connection = await connect(store_dsn)
    if analyzed == "while empty":  # pages, but no rows: the planner takes the tables for empty whatever comes
        await hand.accept(*(New(f"s{n}") for n in range(SESSIONS)))
        await connection.execute("DELETE FROM turns")
        await connection.execute("DELETE FROM sessions")
        await connection.execute("ANALYZE turns, sessions")
    if analyzed == "while small":
        await hand.accept(New("small"))
        await connection.execute("VACUUM ANALYZE turns, sessions")
        await connection.execute("DELETE FROM turns")
    for n in range(SESSIONS):
        await fill(connection, n)
        if analyzed == f"after {n + 1}":  # as autovacuum does, whenever it likes
            await connection.execute("ANALYZE turns, sessions")
    if analyzed == "now":
        await connection.execute("ANALYZE turns, sessions")

    sql = load_queries("head")
    asked = [New(f"s{n}") for n in range(SESSIONS)]
    reads = {
        "load_heads": (LANE, 0, NIL, 1023, 1000, 100),
        "load_sessions": (LANE, [each.bucket for each in asked], [each.session_id for each in asked], 2, 100),
    }
    read = {}
    for name, arguments in reads.items():
        plan = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + sql[name], *arguments)
        read[name] = rows_read(json.loads(plan)[0]["Plan"])

    await connection.close()
    assert read["load_heads"] <= 3 * SESSIONS
    assert read["load_sessions"] <= 2 * SESSIONS


STATISTICS = (
    "SELECT pg_restore_attribute_stats('schemaname', 'argosy', 'relname', 'turns', 'attname', $1::text, 'inherited',"
    " false, 'null_frac', 0.0::real, 'avg_width', 16, 'n_distinct', $2::real)"
)
SIZE = "SELECT pg_restore_relation_stats('schemaname', 'argosy', 'relname', $1::text, 'reltuples', $2::real)"


async def test_whatever_the_planner_believes_heads_are_read_in_the_order_of_their_index(
    store_dsn: str, hand: Hand
) -> None:
    """Autovacuum may leave statistics from any moment. One that took each session for a single turn once made the
    planner read and sort whole sessions by another index: what it believes is drawn at random here.
    """
    connection: asyncpg.Connection = await connect(store_dsn)
    if connection.get_server_version().major < 18:
        await connection.close()
        return  # statistics cannot be set by hand there; the cost rules are the same
    for n in range(SESSIONS):
        await fill(connection, n)
    drawn, sql = random.Random(1), load_queries("head")
    plans = []

    for _ in range(200):
        for column in ("lane", "bucket", "session_id", "status"):
            await connection.execute(STATISTICS, column, drawn.choice([1.0, 2.0, 50.0, -1.0, -0.0025, -0.5]))
        for relation in ("turns", "turns_open", "turns_of_session", "turns_pkey"):
            await connection.execute(SIZE, relation, drawn.choice([0.0, 1.0, 50.0, 400.0, 20000.0]))
        arguments = (LANE, 0, NIL, 1023, 1000, 100)
        plans.append(await connection.fetchval("EXPLAIN (FORMAT JSON) " + sql["load_heads"], *arguments))

    await connection.close()
    assert {(plan.count('"turns_open"'), plan.count('"turns_of_session"')) for plan in plans} == {(3, 0)}
