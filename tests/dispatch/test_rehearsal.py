"""What a worker goes through before the log gives it anything, on a real Postgres."""

import uuid

import asyncpg

from argosy.store.head import Heads
from argosy.store.numbered_stream import NumberedStream
from argosy.store.partition import Partitions
from argosy.store.pool import Pool
from argosy.workers.dispatch.rehearsal import rehearse

_TABLES = ("turns", "events", "inbox", "sessions", "positions", "partitions", "dead_letters")


async def test_a_rehearsal_goes_through_the_real_statements_writes_nothing_and_the_streams_go_on(database: str) -> None:
    worker_id = uuid.uuid4()
    accepts, flushes = (NumberedStream(database, worker_id, stream, timeout_s=10.0) for stream in (1, 2))
    pool = Pool(database, 8, 10.0)
    connection = await asyncpg.connect(database, server_settings={"search_path": "argosy"})
    try:
        for stream in (accepts, flushes):
            await stream.open()
        work = (
            accepts,
            flushes,
            Partitions(pool, worker_id, "127.0.0.1:1", "default"),
            Heads(pool, "default", input_size_bytes_max=1),
        )

        await rehearse("default", *work)
        await rehearse("default", *work)  # the second call of each stream has the next number

        for table in _TABLES:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608
        numbers = await connection.fetch("SELECT stream, no FROM flush_streams ORDER BY stream")
        assert [tuple(row) for row in numbers] == [(1, 2), (2, 2)]
    finally:
        await connection.close()
        for stream in (accepts, flushes):
            await stream.close()
        await pool.close()
