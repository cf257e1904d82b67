"""Real servers for every test that wants them: a broker, PostgreSQL 15 and 18. Started once, ended with the session."""

import asyncio
import contextlib
import gc
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from argosy import config
from argosy.local.broker import Broker
from argosy.local.postgres import EmbeddedPostgres
from argosy.local.postgres_cluster import make_reachable, unprivileged_account
from argosy.store.migrate import migrate
from tests.harness.shared import Shared

# Brokers of tests are young: with Java's quick compiler alone they start sooner.
# Only once they are warm would they need less CPU without it.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# Left to itself structlog shows an exception with the locals of every frame, which takes it seconds.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# How fast the machine is now is nothing that a test judges: neither how long an example takes, nor how long its input.
settings.register_profile("argosy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("argosy")

# What is ended after the last test: there no test's time runs out while others still use it.
at_end = contextlib.ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Whatever is imported and made while tests are collected is kept: there is no garbage to look for."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """The garbage collector passes over what was collected here: modules and thousands of tests, all kept to the end.

    Otherwise a test that calls for a collection, or looks at everything that is left, would take seconds.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What pytest and its plugins do from here on may look at everything again."""
    gc.unfreeze()
    at_end.close()


def find_postgres_15() -> Path | None:
    """The programs of the oldest PostgreSQL that must work, when this machine has them."""
    on_path = shutil.which("postgres")
    for bin_dir in (Path("/usr/lib/postgresql/15/bin"), *([Path(on_path).resolve().parent] if on_path else [])):
        if (bin_dir / "initdb").exists() and (bin_dir / "postgres").exists():
            shown = subprocess.run([str(bin_dir / "postgres"), "-V"], capture_output=True, text=True, check=False)
            if shown.stdout.startswith("postgres (PostgreSQL) 15."):
                return bin_dir
    return None


def need(thing: object, what: str) -> None:
    """A missing service skips a test on a laptop and fails it in CI."""
    if not thing:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {what}")
        pytest.skip(f"needs {what}")


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder with a short path that every user may enter: PostgreSQL runs as another when the tests run as root.

    pytest's own tmp_path may be entered by its owner alone.
    """
    folder = Path(tempfile.mkdtemp(prefix="argosy-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """As open_folder: use it instead of tmp_path wherever an embedded PostgreSQL keeps its data."""
    with open_folder() as path:
        yield path


def start_broker(ending: contextlib.ExitStack) -> str:
    path = ending.enter_context(open_folder())
    return ending.enter_context(Broker(path, port=0)).bootstrap_servers


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """host:port,… of a real Kafka: KAFKA_BOOTSTRAP_SERVERS when set, else one node of our own.

    Shared by all tests of the run, also by those in other processes: use topics and groups with names of your own.
    """
    if configured := config.load().kafka_bootstrap_servers:
        return configured
    own = tmp_path_factory.getbasetemp()
    return Shared(own.parent / "broker" if "PYTEST_XDIST_WORKER" in os.environ else own / "broker").join(
        start_broker, at_end
    )


@contextlib.contextmanager
def running_postgres(bin_dir: Path | None = None) -> Iterator[str]:
    """A server for the tests of a run, as `argosy up` starts it, but that it does not wait for the disk: what it holds
    is nothing once they have ended, also when the machine crashes. What a process writes outlives it all the same.
    """

    async def forgo_the_disk(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()

    with open_folder() as path, EmbeddedPostgres(path, bin_dir=bin_dir) as server:
        in_thread(lambda: forgo_the_disk(server.dsn))
        yield server.dsn


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A real PostgreSQL 18. Make a database of your own, or use `database`."""
    with running_postgres() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def postgres_15_dsn() -> Iterator[str]:
    """A real PostgreSQL 15, started the same way."""
    bin_dir = find_postgres_15()
    need(bin_dir, "PostgreSQL 15")
    with running_postgres(bin_dir) as dsn:
        yield dsn


@pytest.fixture(params=["15", "18"], ids=["postgres15", "postgres18"])
def any_postgres_dsn(request: pytest.FixtureRequest) -> str:
    """The oldest and the newest PostgreSQL that must work, one after the other."""
    return str(request.getfixturevalue("postgres_15_dsn" if request.param == "15" else "postgres_dsn"))


async def apply_migrations(dsn: str) -> None:
    await migrate(dsn)


def in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function to its end from a synchronous fixture, whatever loop this thread has."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(lambda: asyncio.run(work())).result(60)


@contextlib.contextmanager
def fresh_database(server_dsn: str, template: str = "template1") -> Iterator[str]:
    """A new database on that server, empty or a copy of another one; dropped afterwards, whoever is still connected.
    Yields its DSN.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(server_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    in_thread(lambda: execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield server_dsn.replace("/postgres", f"/{name}", 1)
    finally:
        in_thread(lambda: execute(f"DROP DATABASE {name} WITH (FORCE)"))


@contextlib.contextmanager
def migrated_template(server_dsn: str) -> Iterator[str]:
    """The name of a database on that server that was migrated and is never used: to copy it takes a fraction of the
    time that the migrations take.
    """
    with fresh_database(server_dsn) as dsn:
        in_thread(lambda: apply_migrations(dsn))
        yield urlsplit(dsn).path.removeprefix("/")


@pytest.fixture(scope="session")
def made_cluster() -> Iterator[Path]:
    """The folder of an embedded PostgreSQL that was migrated, and that has ended in order."""
    with open_folder() as path:
        with EmbeddedPostgres(path / "postgres") as server:
            in_thread(lambda: apply_migrations(server.dsn))
        yield path / "postgres"


@pytest.fixture
def make_cluster(made_cluster: Path) -> Callable[[Path], None]:
    """Puts a copy of it into a data folder: what starts there finds its PostgreSQL as an earlier start left it.

    It takes a fraction of the time of a first start, which other tests are about.
    """

    def make(data_dir: Path) -> None:
        folder = data_dir / "postgres"
        make_reachable(folder, unprivileged_account())
        subprocess.run(["/bin/cp", "-a", made_cluster / "data", made_cluster / "password", folder], check=True)

    return make


@pytest.fixture(scope="session")
def template_18(postgres_dsn: str) -> Iterator[str]:
    with migrated_template(postgres_dsn) as name:
        yield name


@pytest.fixture(scope="session")
def template_15(postgres_15_dsn: str) -> Iterator[str]:
    with migrated_template(postgres_15_dsn) as name:
        yield name


@pytest.fixture
def database(postgres_dsn: str, template_18: str) -> Iterator[str]:
    """The DSN of a new database on PostgreSQL 18: migrated, without a row."""
    with fresh_database(postgres_dsn, template_18) as dsn:
        yield dsn


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[str]:
    """The DSN of a new database on PostgreSQL 18 that was not migrated."""
    with fresh_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture(params=["15", "18"], ids=["postgres15", "postgres18"])
def any_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `database`, on PostgreSQL 15 and on 18: the test runs on both."""
    server_dsn = str(request.getfixturevalue("postgres_15_dsn" if request.param == "15" else "postgres_dsn"))
    with fresh_database(server_dsn, str(request.getfixturevalue(f"template_{request.param}"))) as dsn:
        yield dsn


@pytest.fixture
def any_empty_database(any_postgres_dsn: str) -> Iterator[str]:
    """As `empty_database`, on PostgreSQL 15 and on 18: the test runs on both."""
    with fresh_database(any_postgres_dsn) as dsn:
        yield dsn
