"""A server that comes back in recovery, at the same address: it is waited for, and nothing that is sent is at fault."""

import asyncio
import shutil
import uuid
from pathlib import Path

import asyncpg

from argosy.local.postgres import EmbeddedPostgres
from argosy.store import migrate
from argosy.store.numbered_stream import NumberedStream
from argosy.workers.dispatch.accept.accept_arrays import STATEMENT as ACCEPT
from argosy.workers.dispatch.accept.accept_arrays import AcceptArrays
from argosy.workers.dispatch.flush.flush_entry import STATEMENT as FLUSH
from argosy.workers.dispatch.flush.flush_entry import FlushArrays


def become_standby(folder: Path) -> None:
    signal_file = folder / "data" / "standby.signal"
    signal_file.touch()
    owner = (folder / "data").stat()
    shutil.chown(signal_file, owner.st_uid, owner.st_gid)


async def test_what_is_sent_to_a_server_in_recovery_waits_until_it_is_the_primary(folder: Path) -> None:
    calls = {1: (ACCEPT, AcceptArrays("default", "log", 1).arguments()), 2: (FLUSH, FlushArrays("default").arguments())}
    with EmbeddedPostgres(folder) as server:
        await migrate.migrate(server.dsn)
        worker_id = uuid.uuid4()
        streams = {number: NumberedStream(server.dsn, worker_id, number, timeout_s=5.0) for number in calls}
        for stream in streams.values():
            await stream.open()
        await asyncio.to_thread(server.stop)
        become_standby(folder)
        await asyncio.to_thread(server.start)

        calling = [asyncio.create_task(streams[number].call(sql, *values)) for number, (sql, values) in calls.items()]
        done, _ = await asyncio.wait(calling, timeout=2.0)
        assert not done, [task.exception() for task in done]

        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT pg_promote(true, 30)")
        await connection.close()
        async with asyncio.timeout(20):
            await asyncio.gather(*calling)
        for stream in streams.values():
            await stream.close()
