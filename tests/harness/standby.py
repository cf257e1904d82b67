"""A second Postgres: a physical copy that follows no more once it is made, and may be promoted by hand."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import asyncpg

from argosy.local.postgres import EmbeddedPostgres


class Standby:
    """Of a server in folder/postgres. What is committed after `make` is lost to whoever is promoted."""

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self._server = server
        self._data = folder / "postgres" / "data"
        self._beside = folder / "second"
        self._copy = self._beside / "data"
        self._second: EmbeddedPostgres | None = None

    async def make(self) -> None:
        connection = await asyncpg.connect(self._server.dsn)
        await connection.execute("SELECT pg_backup_start('standby', true)")
        unwanted = shutil.ignore_patterns("postmaster.pid", "postmaster.opts")
        await asyncio.to_thread(shutil.copytree, self._data, self._copy, ignore=unwanted)
        label = await connection.fetchval("SELECT labelfile FROM pg_backup_stop(false)")
        await connection.close()
        shutil.rmtree(self._copy / "pg_wal")
        await asyncio.to_thread(shutil.copytree, self._data / "pg_wal", self._copy / "pg_wal")
        (self._copy / "backup_label").write_text(label)
        (self._copy / "standby.signal").touch()
        owner = self._data.stat()
        for path in (self._copy, *self._copy.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        self._copy.chmod(0o700)

    async def take_over(self) -> None:
        """The primary is lost in this moment; the standby is promoted under its address."""
        os.kill(self._server.pid, signal.SIGKILL)
        await asyncio.to_thread(self._server.stop)
        self._data.rename(self._data.with_name("lost"))
        self._copy.rename(self._data)
        await asyncio.to_thread(self._server.start)
        await _promote(self._server)

    async def take_over_beside(self) -> EmbeddedPostgres:
        """The standby is promoted at an address of its own, until `stop`; the primary runs on."""
        self._second = EmbeddedPostgres(self._beside)
        await asyncio.to_thread(self._second.start)
        await _promote(self._second)
        return self._second

    def stop(self) -> None:
        if self._second is not None:
            self._second.stop()


async def _promote(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.dsn)
    try:
        assert await connection.fetchval("SELECT pg_promote(true, 30)")
    finally:
        await connection.close()
