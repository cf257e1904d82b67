"""A fleet's shards, and a process that stops itself: what tests of graphs, ingest and erasures begin with."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.harness.processes import Managed
from tests.shards.processes import ShardProcess

__all__ = ["SECRET", "SILENT_SOON", "second", "shard", "shards", "until_stopped"]

SECRET: Final = "a secret of the tests, long enough"  # as tests/harness/fleet.py says it
SILENT_SOON: Final = {"HEARTBEAT_INTERVAL_S": "0.3", "HEARTBEAT_TTL_S": "1.5"}


@contextmanager
def running(folder: Path) -> Iterator[ShardProcess]:
    shard = ShardProcess(folder, GRAPH_SERVICE_AUTH_SECRET=SECRET)
    shard.start()
    yield shard
    shard.bury()


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[ShardProcess]:
    with running(tmp_path / "shard") as shard:
        yield shard


@pytest.fixture
def second(tmp_path: Path) -> Iterator[ShardProcess]:
    with running(tmp_path / "second") as shard:
        yield shard


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[list[ShardProcess]]:
    """The one of before, and the one of after."""
    with running(tmp_path / "old") as old, running(tmp_path / "new") as new:
        yield [old, new]


async def until_stopped(process: Managed, within_s: float = 30.0) -> None:
    """Wait until a process has stopped itself (SIGSTOP)."""
    until_s = time.monotonic() + within_s
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < until_s, f"{process.name} does not stop"
        await asyncio.sleep(0.02)
