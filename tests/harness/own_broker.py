"""A broker of a test of its own, which dies, stalls and comes back: `from tests.harness.own_broker import *`."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.local.broker import Broker
from tests.harness.broker_nodes import pid_of

__all__ = ["broker", "log_name", "own_broker", "stalled"]


@pytest.fixture
def log_name() -> str:
    return "kafka"


@pytest.fixture
def own_broker(folder: Path) -> Iterator[Broker]:
    """It comes back with its data."""
    with Broker(folder, port=0) as broker:
        yield broker


@pytest.fixture
def broker(own_broker: Broker) -> str:
    return own_broker.bootstrap_servers


@contextlib.contextmanager
def stalled(broker: Broker) -> Iterator[None]:
    """Until the end of the block nothing comes from it, and no connection breaks."""
    pid = pid_of(broker, 1)
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while _thread_states(pid) != {"T"} and time.monotonic() < deadline:  # that is soon, not at once
        time.sleep(0.005)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _thread_states(pid: int) -> set[str]:
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()}
