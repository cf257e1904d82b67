"""What is kept of worker processes."""

import uuid

import asyncpg

from argosy.life import ProcessKind
from argosy.store.pool import Pool
from argosy.store.worker import Workers


async def test_a_worker_that_died_long_ago_is_forgotten_with_its_streams_and_one_that_lives_is_not(
    any_database: str,
) -> None:
    pool = Pool(any_database, 2, 5.0)
    dead, alive = uuid.uuid4(), uuid.uuid4()
    for worker_id in (dead, alive):
        await Workers(pool).register(
            worker_id,
            kind=ProcessKind.DISPATCH,
            lane="default",
            build="1",
            host="h",
            pid=1,
            address="a",
            metrics_port=1,
            slots=1,
            workflows=[],
        )
    connection = await asyncpg.connect(any_database, server_settings={"search_path": "argosy"})
    await connection.execute("UPDATE workers SET started_at = now() - interval '2 days'")
    await connection.execute("INSERT INTO heartbeats (worker_id, at) VALUES ($1, now() - interval '1 day')", dead)
    await connection.execute("INSERT INTO heartbeats (worker_id) VALUES ($1)", alive)
    await connection.executemany("INSERT INTO flush_streams (worker_id, stream) VALUES ($1, 2)", [(dead,), (alive,)])

    await Workers(pool).forget_dead(3600)

    assert [row[0] for row in await connection.fetch("SELECT worker_id FROM workers")] == [alive]
    assert [row[0] for row in await connection.fetch("SELECT worker_id FROM flush_streams")] == [alive]
    await connection.close()
    await pool.close()
