"""A real Postgres that takes connections by TLS alone, of the one authority that STATE_DB_URI names."""

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.errors import StoreUnavailableError
from argosy.local.postgres import EmbeddedPostgres
from argosy.store.fault import Fault, fault_of
from argosy.store.pool import Pool, connect
from argosy.store.preflight import check
from argosy.store.protection import warnings_of
from tests.conftest import find_postgres_15, need, open_folder
from tests.harness.certificates import Authority
from tests.harness.processes import free_port
from tests.harness.tls_postgres import TlsPostgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[TlsPostgres]:
    bin_dir = find_postgres_15()
    need(bin_dir, "PostgreSQL 15, built with OpenSSL")
    with open_folder() as path, EmbeddedPostgres(path / "pg", bin_dir=bin_dir, tcp_port=free_port()) as server:
        yield TlsPostgres(path, server)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "theirs")


async def test_a_server_of_the_right_authority_is_spoken_to_by_tls(postgres: TlsPostgres) -> None:
    dsn = postgres.dsn("verify-full", postgres.authority.ca)

    assert [each for each in await check(dsn) if "sslmode" in each] == []
    connection = await connect(dsn)
    assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await connection.close()


async def refused(dsn: str, password: str) -> str:
    """What is said of a server to which nobody connects: no fault of the process, which goes on, or comes later."""
    pool = Pool(dsn, 1, 5.0)
    said = []
    for attempt in (lambda: connect(dsn), lambda: pool.fetchval("SELECT 1"), lambda: check(dsn)):
        with pytest.raises(StoreUnavailableError) as error:
            await attempt()
        assert fault_of(error.value) is Fault.AWAY
        said.append(str(error.value))
    assert all("\n" not in each and password not in each for each in said)
    assert len(set(said)) == 1
    return said[0]


async def test_a_server_of_another_authority_is_not_believed(postgres: TlsPostgres, stranger: Authority) -> None:
    said = await refused(postgres.dsn("verify-full", stranger.ca), postgres.password)

    assert said.startswith("Postgres is not believed to be the one that STATE_DB_URI names: certificate verify failed")


async def test_a_server_of_another_name_is_not_believed(postgres: TlsPostgres) -> None:
    postgres.serve(postgres.authority, "DNS:db.example")
    try:
        said = await refused(postgres.dsn("verify-full", postgres.authority.ca), postgres.password)
    finally:
        postgres.serve(postgres.authority)

    assert "127.0.0.1" in said
    assert "mismatch" in said


async def test_a_server_that_wants_tls_says_so_to_those_who_speak_none(postgres: TlsPostgres) -> None:
    assert "no encryption" in await refused(postgres.dsn("disable"), postgres.password)


async def test_a_server_without_tls_is_refused_by_those_who_want_it(postgres: TlsPostgres) -> None:
    await postgres.serve_without()
    try:
        said = await refused(postgres.dsn("verify-full", postgres.authority.ca), postgres.password)
    finally:
        await postgres.serve_again()

    assert "rejected SSL upgrade" in said


@pytest.mark.parametrize(
    ("peer", "is_verified", "said"),
    [
        ("/run/.s.PGSQL.5432", None, ""),
        (("127.0.0.1", 5432), None, ""),
        (("10.0.0.7", 5432), None, "clear text"),
        (("10.0.0.7", 5432), False, "does not prove"),
        (("10.0.0.7", 5432), True, ""),
    ],
)
def test_what_others_could_read_or_answer_is_warned_of(peer: object, is_verified: bool | None, said: str) -> None:
    context = None if is_verified is None else ssl.create_default_context()
    if context is not None and not is_verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    warnings = " ".join(warnings_of(peer, context))

    assert said in warnings
    assert bool(said) == bool(warnings)


async def test_certificates_and_authorities_are_replaced_without_a_restart(
    postgres: TlsPostgres, stranger: Authority, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(postgres.authority.ca, ca)
    pool = Pool(postgres.dsn("verify-full", str(ca)), 2, 5.0, idle_s=0.0)
    assert await pool.fetchval("SELECT 1") == 1
    postgres.serve(stranger)
    try:
        with pytest.raises(StoreUnavailableError, match="not believed"):
            await connect(postgres.dsn("verify-full", str(ca)))

        shutil.copy(stranger.ca, ca)

        connection = await connect(postgres.dsn("verify-full", str(ca)))
        await connection.close()
        await pool.close()
    finally:
        postgres.serve(postgres.authority)
