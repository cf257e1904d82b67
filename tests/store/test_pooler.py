"""A real pgbouncer between us and a real Postgres."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from argosy.errors import SettingError
from argosy.local.postgres import EmbeddedPostgres
from argosy.store import preflight
from argosy.store.pooler import refuse_pooler
from argosy.store.session_settings import SESSION_SETTINGS
from tests.conftest import need, open_folder
from tests.harness.processes import free_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
IGNORED = f"ignore_startup_parameters = extra_float_digits,{','.join(SESSION_SETTINGS)}"
ONE_BACKEND = "default_pool_size = 1"
IN_TURNS = "server_round_robin = 1"


@pytest.fixture(scope="module")
def server_dsn() -> Iterator[str]:
    """By TCP: pgbouncer has an account of its own."""
    need(PGBOUNCER, "pgbouncer")
    with open_folder() as path, EmbeddedPostgres(path, tcp_port=free_port()) as server:
        yield server.tcp_dsn


@contextlib.contextmanager
def pgbouncer(server_dsn: str, folder: Path, *lines: str) -> Iterator[str]:
    server, port = urlsplit(server_dsn), free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        "\n".join(
            [
                "[databases]",
                f"postgres = host=127.0.0.1 port={server.port} user={server.username} password={server.password}",
                "[pgbouncer]",
                f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any",
                *lines,
            ]
        )
    )
    settings.chmod(0o644)
    process = subprocess.Popen([str(PGBOUNCER), "-q", "-u", "nobody", str(settings)], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"postgresql://argosy@127.0.0.1:{port}/postgres"
    finally:
        process.kill()
        process.wait(10)


def wait_for(port: int) -> None:
    until_s = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.01)


async def test_a_server_itself_is_taken(any_database: str) -> None:
    await refuse_pooler(any_database)


@pytest.mark.parametrize("more", ["", ONE_BACKEND, IN_TURNS], ids=["as it comes", "one backend", "backends in turns"])
async def test_a_proxy_that_pools_transactions_is_refused_in_a_line_that_says_why(
    server_dsn: str, folder: Path, more: str
) -> None:
    with pgbouncer(server_dsn, folder, "pool_mode = transaction", IGNORED, more) as dsn:
        for _ in range(2):  # idle, and with backends that it has kept
            with pytest.raises(SettingError, match=r"^STATE_DB_URI: a proxy that pools transactions stands between"):
                await refuse_pooler(dsn)


async def test_a_proxy_that_refuses_the_settings_of_a_session_is_refused_by_name(server_dsn: str, folder: Path) -> None:
    with (
        pgbouncer(server_dsn, folder, "pool_mode = session") as dsn,
        pytest.raises(SettingError, match=r"unsupported startup parameter: \w+\): name the server itself$"),
    ):
        await refuse_pooler(dsn)


async def test_a_proxy_that_drops_the_settings_of_a_session_is_refused_unless_the_role_has_them(
    server_dsn: str, folder: Path
) -> None:
    with (
        pgbouncer(server_dsn, folder, "pool_mode = session", IGNORED) as dsn,
        pytest.raises(SettingError, match=re.escape("do not get the settings that they ask for (search_path=argosy, ")),
    ):
        await preflight.check(dsn)

    connection = await asyncpg.connect(server_dsn)
    for name, value in SESSION_SETTINGS.items():
        await connection.execute(f"ALTER ROLE argosy SET {name} = '{value}'")
    try:
        with pgbouncer(server_dsn, folder, "pool_mode = session", IGNORED) as dsn:
            await preflight.check(dsn)
    finally:
        await connection.execute("ALTER ROLE argosy RESET ALL")
        await connection.close()
