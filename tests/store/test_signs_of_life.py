"""The facts about who lives are one view, and SQL comes to the same answer from them as the code."""

import itertools
import math
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from argosy import store
from argosy.life import SERVER_GRACE_S, is_alive
from argosy.store.pool import connect
from tests.store.hand import Hand

STORE: Final = Path(store.__file__).parent
TTL_S: Final = 10.0
LOCK: Final = "SELECT pg_try_advisory_lock(worker_lock($1))"


async def test_sql_and_code_agree_who_lives(hand: Hand) -> None:
    ages = (0.0, TTL_S, math.nextafter(TTL_S, math.inf), 500.0)
    ups = (0.0, 1.0, math.nextafter(SERVER_GRACE_S, 0), SERVER_GRACE_S, TTL_S, math.nextafter(TTL_S, math.inf), 999.0)
    looks = list(itertools.product((True, False), ages, ups))

    rows = await hand.rows(
        "SELECT is_alive(u.is_held, u.heard_s, u.up_s, $4)"
        " FROM unnest($1::boolean[], $2::float8[], $3::float8[]) WITH ORDINALITY AS u (is_held, heard_s, up_s, ord)"
        " ORDER BY u.ord",
        *zip(*looks, strict=True),
        TTL_S,
    )

    assert [row[0] for row in rows] == [
        is_alive(lock_free_s=None if is_held else math.inf, heard_s=heard_s, server_up_s=up_s, ttl_s=TTL_S)
        for is_held, heard_s, up_s in looks
    ]


class Processes:
    """Rows of processes, as they are left by processes that live, died, or have only just begun."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def begin(self, began_s: float, beat_s: float | None = None) -> tuple[uuid.UUID, int]:
        """Its id and its number. It began and sent a heartbeat so many seconds ago."""
        worker_id = uuid.uuid4()
        number = await self.connection.fetchval(
            "INSERT INTO workers (worker_id, kind, lane, build, host, pid, address, metrics_port, slots, started_at)"
            " VALUES ($1, 'dispatch', 'l', 'b', 'h', 1, 'a:1', 1, 1, now() - make_interval(secs => $2))"
            " RETURNING worker_no",
            worker_id, began_s,
        )  # fmt: skip
        if beat_s is not None:
            await self.connection.execute(
                "INSERT INTO heartbeats (worker_id, at, draining) VALUES ($1, now() - make_interval(secs => $2), true)",
                worker_id, beat_s,
            )  # fmt: skip
        return worker_id, number

    async def seen(self, worker_id: uuid.UUID) -> tuple[bool, int, bool]:
        """Whether it holds its lock, how many whole seconds ago it was heard of, whether it drains."""
        row = await self.connection.fetchrow("SELECT * FROM signs_of_life WHERE worker_id = $1", worker_id)
        assert row["server_up_s"] >= 0
        return row["holds_lock"], int(row["heard_s"]), row["is_draining"]


@pytest.fixture
async def processes(store_dsn: str) -> AsyncIterator[Processes]:
    connection = await connect(store_dsn)
    yield Processes(connection)
    await connection.close()


async def test_a_process_is_heard_by_its_heartbeats_or_since_it_began(processes: Processes) -> None:
    beats, _ = await processes.begin(500, 40)
    begins, _ = await processes.begin(60)

    assert await processes.seen(beats) == (False, 40, True)
    assert await processes.seen(begins) == (False, 60, False)


async def test_a_process_holds_its_lock_until_its_session_ends(processes: Processes, store_dsn: str) -> None:
    worker_id, number = await processes.begin(5, 1)
    session, watcher = await connect(store_dsn), await connect(store_dsn)

    assert await session.fetchval(LOCK, number)
    assert (await processes.seen(worker_id))[0]

    await session.close()
    await watcher.execute("SELECT pg_advisory_lock_shared(worker_lock($1))", number)  # it waits for the death
    assert not (await processes.seen(worker_id))[0]
    await watcher.close()


async def test_a_lock_of_the_same_number_in_another_database_is_not_a_sign_of_life(
    processes: Processes, store_dsn: str
) -> None:
    worker_id, number = await processes.begin(5, 1)
    key = await processes.connection.fetchval("SELECT worker_lock($1)", number)
    other = await asyncpg.connect(store_dsn, database="postgres")

    assert await other.fetchval("SELECT pg_try_advisory_lock($1)", key)
    assert not (await processes.seen(worker_id))[0]
    await other.close()


def test_nobody_else_counts_the_signs_of_life() -> None:
    """Since when the server runs is asked for no other reason."""
    texts = {each.name: each.read_text() for each in (*STORE.glob("*.sql"), *STORE.glob("functions/*.sql"))}

    assert [name for name, text in texts.items() if "pg_postmaster_start_time" in text] == ["signs_of_life.sql"]
