"""Real servers for every test that wants them: a broker, PostgreSQL 15 and 18. Started once, ended with the session."""

import asyncio
import contextlib
import gc
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog

from argosy import config
from argosy.local.broker import Broker
from argosy.local.postgres import EmbeddedPostgres

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


def pytest_collection_finish() -> None:
    """The garbage collector passes over what was collected here: modules and thousands of tests, all kept to the end.

    Otherwise a test that calls for a collection, or looks at everything that is left, would take seconds.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """What pytest and its plugins do from here on may look at everything again."""
    gc.unfreeze()


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


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """host:port,… of a real Kafka: KAFKA_BOOTSTRAP_SERVERS when set, else one node of our own.

    Shared by all tests of the session: use topics and groups with names of your own.
    """
    if configured := config.load().kafka_bootstrap_servers:
        yield configured
        return
    with open_folder() as path, Broker(path, port=0) as started:
        yield started.bootstrap_servers


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A real PostgreSQL 18, as `argosy up` starts it. Make a database of your own, or use `database`."""
    with open_folder() as path, EmbeddedPostgres(path) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def postgres_15_dsn() -> Iterator[str]:
    """A real PostgreSQL 15, started the same way."""
    bin_dir = find_postgres_15()
    need(bin_dir, "PostgreSQL 15")
    with open_folder() as path, EmbeddedPostgres(path, bin_dir=bin_dir) as server:
        yield server.dsn


@pytest.fixture(params=["15", "18"], ids=["postgres15", "postgres18"])
def any_postgres_dsn(request: pytest.FixtureRequest) -> str:
    """The oldest and the newest PostgreSQL that must work, one after the other."""
    return str(request.getfixturevalue("postgres_15_dsn" if request.param == "15" else "postgres_dsn"))


def in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function to its end from a synchronous fixture, whatever loop this thread has."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(lambda: asyncio.run(work())).result(60)


@contextlib.contextmanager
def fresh_database(server_dsn: str) -> Iterator[str]:
    """A new, empty database on that server; dropped afterwards, whoever is still connected. Yields its DSN."""
    name = f"test_{uuid.uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(server_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    in_thread(lambda: execute(f"CREATE DATABASE {name}"))
    try:
        yield server_dsn.replace("/postgres", f"/{name}", 1)
    finally:
        in_thread(lambda: execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[str]:
    """The DSN of a new, empty database on PostgreSQL 18."""
    with fresh_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture
def any_database(any_postgres_dsn: str) -> Iterator[str]:
    """The DSN of a new, empty database on PostgreSQL 15 and on 18: the test runs on both."""
    with fresh_database(any_postgres_dsn) as dsn:
        yield dsn
