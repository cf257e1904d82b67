"""The only broker dies or stalls while clients post: no false 202, and nothing has to be restarted afterwards."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from argosy.broker import Broker
from tests.harness.client import Client
from tests.harness.fleet import Fleet

APPEND_TIMEOUT_S = 3


@pytest.fixture
def log_name() -> str:
    return "kafka"


@pytest.fixture
def own_broker(folder: Path) -> Iterator[Broker]:
    """A broker that may die and come back with its data."""
    with Broker(folder, port=0, is_quick_to_start=True) as broker:
        yield broker


@pytest.fixture
def idle_fleet(own_broker: Broker, database: str, tmp_path: Path) -> Iterator[Fleet]:
    settings = {"LOG_APPEND_TIMEOUT_S": str(APPEND_TIMEOUT_S)}
    fleet = Fleet(tmp_path / "fleet", database, own_broker.bootstrap_servers, **settings)
    try:
        fleet.prepare()
        yield fleet
    finally:
        print(fleet.logs())
        fleet.stop()


async def test_with_the_broker_down_posts_are_refused_in_time_and_accepted_when_it_is_back(
    own_broker: Broker, fleet: Fleet, client: Client
) -> None:
    """F5, shortened."""
    fleet.worker()
    before = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(10)]
    await client.until_status(before)

    await asyncio.to_thread(own_broker.kill, 1)
    started_s = time.monotonic()
    body = {"workflow": "steps", "input": client.job("session-0", n=1)}
    refused = await asyncio.gather(*(client.post_once("session-0", body, f"key-{n}", 1) for n in range(5)))
    took_s = time.monotonic() - started_s
    assert {request.status for request in refused} <= {503, 504}
    assert took_s < APPEND_TIMEOUT_S + 3
    posting = asyncio.gather(
        *(client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(1, 10)),
        *(_until_accepted(client, "session-0", body, f"key-{n}") for n in range(5)),
    )
    await asyncio.sleep(3)
    await asyncio.to_thread(own_broker.restart, 1)

    await posting
    await client.until_status(request.turn_id for request in client.requests if request.turn_id)
    await client.judge(disruptions=1)


async def test_an_append_whose_outcome_is_unknown_is_one_turn_after_the_retry(
    own_broker: Broker, fleet: Fleet, client: Client
) -> None:
    """F2, F3: whether or not the first append reached the log, the retry's id resolves to the one turn."""
    fleet.worker()
    await client.until_status([await client.post("session", "steps", effects=1, n=1)])
    body = {"workflow": "steps", "input": client.job("session", n=1)}

    java = _java(own_broker)
    await asyncio.to_thread(_stop, java)
    try:
        first = await client.post_once("session", body, "one-key", 1)
    finally:
        java.send_signal(signal.SIGCONT)
    assert first.status == 504
    turn = await _until_accepted(client, "session", body, "one-key")
    again = await client.post_once("session", body, "one-key", 1)

    ended = await client.until_status([turn, again.turn_id or ""])
    assert len({read["turn_id"] for read in ended.values()}) == 1
    await client.judge(disruptions=1)


def _java(broker: Broker) -> psutil.Process:
    for process in psutil.Process().children(recursive=True):
        if "java" in process.name() and any(str(broker.folder) in part for part in process.cmdline()):
            return process
    raise AssertionError("the broker does not run")


def _stop(process: psutil.Process) -> None:
    """SIGSTOP, and wait until every thread of it has stopped: that is soon, not at once."""
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while _thread_states(process) != {"T"} and time.monotonic() < deadline:
        time.sleep(0.005)


def _thread_states(process: psutil.Process) -> set[str]:
    states = set()
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        states.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states


async def _until_accepted(client: Client, session: str, body: dict[str, object], key: str) -> str:
    for _ in range(100):
        request = await client.post_once(session, body, key, 1)
        if request.turn_id:
            return request.turn_id
        await asyncio.sleep(0.2)
    raise AssertionError("never accepted")
