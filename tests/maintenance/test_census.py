"""What waits in the whole fleet is counted, a bounded number of rows at a time."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from argosy import telemetry
from argosy.store.census import FIRST, count_dead_letters, count_open
from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.workers.maintenance.census import Census
from tests.harness.hand_clock import HandClock
from tests.harness.metrics import value_of


@pytest.fixture
async def pool(store_dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(store_dsn, 2, 5.0)
    yield pool
    await pool.close()


@pytest.fixture
async def connection(store_dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(store_dsn, server_settings={"search_path": "argosy"})
    yield connection
    await connection.close()


@pytest.fixture
def lane() -> str:
    """One of this test alone."""
    return f"census-{uuid.uuid4()}"


async def add(
    connection: Any, lane: str, status: str, count: int, age_s: float = 0.0, due_in_s: float | None = None
) -> None:
    """So many sessions, each with one turn."""
    await connection.execute(
        "INSERT INTO turns (turn_id, tenant, lane, bucket, session_id, place, workflow, status, on_busy, waits,"
        "                   accepted_at, not_before, ended_at)"
        " SELECT gen_random_uuid(), 't', $1, n % 1024, gen_random_uuid(), nextval('places'), 'echo', $2, 'enqueue',"
        "        CASE WHEN $2 = 'suspended' THEN convert_to('[]', 'UTF8') END, now() - make_interval(secs => $4),"
        "        now() + make_interval(secs => $5), CASE WHEN $2 = 'completed' THEN now() END"
        " FROM generate_series(1, $3::integer) AS n",
        lane, status, count, age_s, due_in_s,
    )  # fmt: skip


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"argosy_{name}", labels)


async def counted(role: Census, term: int = 1) -> str:
    """What a census came to."""
    while "so far" in (ticked := await role.tick(term)).outcome:
        pass
    return ticked.outcome


async def test_open_turns_are_counted_by_lane_and_status(pool: Pool, connection: Any, lane: str) -> None:
    await add(connection, lane, "suspended", 3, age_s=500)
    await add(connection, lane, "suspended", 1, age_s=900, due_in_s=-700)
    await add(connection, lane, "parked", 2, age_s=40)
    await add(connection, lane, "completed", 5, age_s=9_000)

    await counted(Census(pool, HandClock()))

    found = {each: shown("turns_open", lane=lane, status=each) for each in ("queued", "running", "suspended", "parked")}
    assert found == {"queued": 0, "running": 0, "suspended": 4, "parked": 2}
    assert shown("turns_open_oldest_seconds", lane=lane, status="suspended") == pytest.approx(700, abs=60)
    assert shown("turns_open_oldest_seconds", lane=lane, status="parked") == pytest.approx(40, abs=60)
    assert shown("turns_open_oldest_seconds", lane=lane, status="queued") == 0


async def test_a_lane_without_turns_is_shown_no_more_and_neither_is_what_a_former_leader_counted(
    pool: Pool, connection: Any, lane: str
) -> None:
    role = Census(pool, HandClock())
    await add(connection, lane, "parked", 1)
    await counted(role)
    await connection.execute("DELETE FROM turns WHERE lane = $1", lane)
    before = shown("turns_open", lane=lane, status="parked")
    await counted(role)
    after = shown("turns_open", lane=lane, status="parked")
    await add(connection, lane, "parked", 1)
    await counted(role)

    telemetry.LEADER_GAUGES["census"].forget()

    assert (before, after) == (1, None)
    assert shown("turns_open", lane=lane, status="parked") is None
    assert "open turns" in await counted(role, term=2)
    assert shown("turns_open", lane=lane, status="parked") == 1


async def test_a_large_count_takes_several_statements_and_loses_and_doubles_nothing(
    pool: Pool, connection: Any, lane: str
) -> None:
    await add(connection, lane, "queued", 23)
    found, place, statements = 0, FIRST._replace(lane=lane), 0
    while True:
        counts, place = await count_open(pool, place, 5)
        mine = [each for each in counts if each.lane == lane]
        found += sum(each.turns for each in mine)
        statements += 1
        if not mine or sum(each.turns for each in counts) < 5:
            break

    assert found == 23
    assert statements >= 5


async def test_the_age_of_the_numbers_is_shown(pool: Pool) -> None:
    clock = HandClock()
    role = Census(pool, clock)

    await counted(role)

    assert value_of(telemetry.CENSUS_AGE_S) == 0.0


async def test_dead_letters_are_counted_to_a_bound(pool: Pool, connection: Any, lane: str) -> None:
    await connection.execute(
        "INSERT INTO dead_letters (log_id, partition, position, lane, value, code, reason)"
        " SELECT $1, 0, n, $1, '', 'invalid_record', '' FROM generate_series(1, 7) AS n",
        lane,
    )

    assert (await count_dead_letters(pool, 5))[lane] == 5
    assert (await count_dead_letters(pool, 100))[lane] == 7


async def test_neither_statement_reads_a_table_from_end_to_end(connection: Any, lane: str) -> None:
    await add(connection, lane, "completed", 20_000)
    await add(connection, lane, "suspended", 200)
    plans = {}
    for name, arguments in {"count_open": (*FIRST, 10_000), "count_dead_letters": (10_000,)}.items():
        statement = await connection.prepare("EXPLAIN (FORMAT JSON) " + load_queries("census")[name])
        plans[name] = json.dumps(json.loads(await statement.fetchval(*arguments)))

    assert "turns_open" in plans["count_open"]
    assert "Seq Scan" not in plans["count_open"]
