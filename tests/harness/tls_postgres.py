"""A real Postgres that takes connections over TCP by TLS alone."""

import os
import shutil
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from argosy.local.postgres import EmbeddedPostgres
from tests.conftest import in_thread
from tests.harness.certificates import Authority

_END: Final = "-----END CERTIFICATE-----\n"
_OF_TLS_ALONE: Final = "local all all peer map=argosy\nhostssl all all 127.0.0.1/32 scram-sha-256\n"


class TlsPostgres:
    """server: PostgreSQL 15 of the system, with a TCP port. The one that Argosy brings was built without TLS."""

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        self.server = server
        self.password = server.tcp_dsn.partition("argosy:")[2].partition("@")[0]
        self.authority = Authority(folder / "ours")
        (server.folder / "pg_hba.conf").write_text(_OF_TLS_ALONE)
        self.serve(self.authority)

    def dsn(self, mode: str, ca: str = "") -> str:
        return f"{self.server.tcp_dsn}?sslmode={mode}" + (f"&sslrootcert={quote(ca)}" if ca else "")

    async def serve_without(self) -> None:
        await self._set("off")

    async def serve_again(self) -> None:
        await self._set("on")

    def serve(self, authority: Authority, san: str = "IP:127.0.0.1") -> None:
        """Put a certificate in place, and have the server read it."""
        issued = authority.issue("server", san)
        data = self.server.folder / "data"
        owner = data.stat()
        for source, name in ((issued.cert, "server.crt"), (issued.key, "server.key")):
            shutil.copy(source, data / name)
            os.chown(data / name, owner.st_uid, owner.st_gid)
            (data / name).chmod(0o600)
        shown = ssl.PEM_cert_to_DER_cert(Path(issued.cert).read_text().partition("-----END")[0] + _END)
        in_thread(self.serve_again)
        in_thread(lambda: self._until_shown(shown))

    async def _until_shown(self, certificate: bytes) -> None:
        seen = b""
        while seen != certificate:
            connection = await asyncpg.connect(self.dsn("require"))
            seen = connection._transport.get_extra_info("ssl_object").getpeercert(True)
            await connection.close()

    async def _set(self, ssl: str) -> None:
        connection = await asyncpg.connect(self.server.dsn)
        await connection.execute(f"ALTER SYSTEM SET ssl = {ssl}")
        await connection.execute("SELECT pg_reload_conf()")
        # The server's own process takes it before those that it has started.
        while await connection.fetchval("SHOW ssl") != ssl:
            pass
        await connection.close()
