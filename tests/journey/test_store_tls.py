"""A fleet whose Postgres takes connections by TLS alone: all that it has, and the tools of a backup."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from argosy.client.async_client import AsyncClient
from argosy.local.postgres import EmbeddedPostgres
from tests.conftest import find_postgres_15, need, open_folder
from tests.harness.certificates import Authority
from tests.harness.fixtures import prepared
from tests.harness.fleet import Fleet
from tests.harness.processes import free_port
from tests.harness.tls_postgres import TlsPostgres

pytestmark = pytest.mark.slow


@pytest.fixture
def postgres() -> Iterator[TlsPostgres]:
    bin_dir = find_postgres_15()
    need(bin_dir, "PostgreSQL 15, built with OpenSSL")
    with open_folder() as path, EmbeddedPostgres(path / "pg", bin_dir=bin_dir, tcp_port=free_port()) as server:
        yield TlsPostgres(path, server)


@pytest.fixture
def verified_fleet(postgres: TlsPostgres, tmp_path: Path) -> Iterator[Fleet]:
    dsn = postgres.dsn("verify-full", postgres.authority.ca)
    with prepared(Fleet(tmp_path / "fleet", dsn, "")) as fleet:
        yield fleet


async def test_a_fleet_and_its_backup_speak_to_postgres_by_tls_alone(
    verified_fleet: Fleet, postgres: TlsPostgres, tmp_path: Path
) -> None:
    port = free_port()
    verified_fleet.start_process("maintain", ["maintain"], port, {"METRICS_PORT": str(port)}, "METRICS_HOST")
    verified_fleet.start(1)
    async with AsyncClient(verified_fleet.url) as client:
        assert await client.run("echo", "hello", timeout_s=20) == "hello"

    connection = await asyncpg.connect(postgres.server.dsn)
    sessions = await connection.fetch(
        "SELECT application_name, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
        " WHERE client_addr IS NOT NULL AND application_name LIKE 'argosy%'"
    )
    await connection.close()
    assert len(sessions) > 5
    assert all(each["ssl"] for each in sessions)
    backup = verified_fleet.start_process("backup", ["backup", str(tmp_path / "backup")], 0, {})
    assert await asyncio.to_thread(backup.wait_dead, 30) == 0, backup.tail()
    assert postgres.password not in backup.tail()


def test_a_start_on_a_postgres_that_is_not_believed_ends_with_one_line(
    verified_fleet: Fleet, postgres: TlsPostgres, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "theirs")
    verified_fleet.environment["STATE_DB_URI"] = postgres.dsn("verify-full", stranger.ca)

    for command in (["migrate", "--check"], ["gateway"], ["worker", "dispatch"], ["maintain"]):
        code, said = verified_fleet.run(*command)

        assert code == 1
        assert "Postgres is not believed to be the one that STATE_DB_URI names: certificate verify failed" in said
        assert "Traceback" not in said
        assert postgres.password not in said
