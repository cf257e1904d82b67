"""The bench's own servers: one Kafka node with its optimising compiler on, and a PostgreSQL 18 with fsync on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from argosy.local.broker import Broker
from argosy.local.postgres import EmbeddedPostgres


class Services(NamedTuple):
    """The running servers. broker_pid: of the Java process."""

    bootstrap: str
    broker_pid: int
    postgres: EmbeddedPostgres


@contextlib.contextmanager
def services(folder: Path) -> Iterator[Services]:
    """Start the servers in `folder`, and stop them at the end.

    Makes the folder accessible for other users: under root, PostgreSQL runs as another one.
    """
    folder.chmod(0o711)
    with Broker(folder / "broker", port=0) as broker, EmbeddedPostgres(folder / "postgres") as postgres:
        yield Services(broker.bootstrap_servers, java_pid(folder), postgres)


def java_pid(folder: Path) -> int:
    """Return the pid of the broker among this process's descendants, found by its folder."""
    for process in psutil.Process().children(recursive=True):
        if "java" in process.name() and any(str(folder) in part for part in process.cmdline()):
            return int(process.pid)
    raise ProcessLookupError(f"no broker runs in {folder}")
