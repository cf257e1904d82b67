"""The only broker dies or stalls while clients post: no false 202, and nothing has to be restarted afterwards."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from tests.harness.client import Client
from tests.harness.fleet import Fleet
from tests.harness.processes import Managed, free_port

APPEND_TIMEOUT_S = 3


class OwnBroker:
    """`argosy broker` of one test, which may die and come back with its data."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._port = free_port()
        self._started: list[Managed] = []
        self.bootstrap = f"127.0.0.1:{self._port}"

    def start(self) -> None:
        log = self._folder / f"broker-{len(self._started)}.log"
        process = Managed("broker", ["broker", "--port", str(self._port)], self._environment, "", log)
        self._started.append(process)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=1)
                process.family()
                return
        raise AssertionError(f"the broker is not ready: {process.tail()}")

    @property
    def java(self) -> psutil.Process:
        return next(process for process in self._started[-1].family() if "java" in process.name())

    def kill(self) -> None:
        self.java.kill()
        self._started[-1].bury()

    def stop(self) -> None:
        for process in self._started:
            process.bury()


@pytest.fixture
def log_name() -> str:
    return "kafka"


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[OwnBroker]:
    folder = Path(tempfile.mkdtemp(prefix="argosy-broker-", dir="/tmp"))
    environment = Fleet(tmp_path / "unused", "", "").environment | {"ARGOSY_DATA_DIR": str(folder / "data")}
    broker = OwnBroker(folder, environment)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def idle_fleet(own_broker: OwnBroker, database: str, tmp_path: Path) -> Iterator[Fleet]:
    settings = {"LOG_APPEND_TIMEOUT_S": str(APPEND_TIMEOUT_S)}
    fleet = Fleet(tmp_path / "fleet", database, own_broker.bootstrap, **settings)
    try:
        fleet.prepare()
        yield fleet
    finally:
        print(fleet.logs())
        fleet.stop()


async def test_with_the_broker_down_posts_are_refused_in_time_and_accepted_when_it_is_back(
    own_broker: OwnBroker, fleet: Fleet, client: Client
) -> None:
    """F5, shortened."""
    fleet.worker()
    before = [await client.post(f"session-{number}", "steps", effects=1, n=1) for number in range(10)]
    await client.until_status(before)

    own_broker.kill()
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
    await asyncio.to_thread(own_broker.start)

    await posting
    await client.until_status(request.turn_id for request in client.requests if request.turn_id)
    await client.judge(disruptions=1)


async def test_an_append_whose_outcome_is_unknown_is_one_turn_after_the_retry(
    own_broker: OwnBroker, fleet: Fleet, client: Client
) -> None:
    """F2, F3: whether or not the first append reached the log, the retry's id resolves to the one turn."""
    fleet.worker()
    await client.until_status([await client.post("session", "steps", effects=1, n=1)])
    body = {"workflow": "steps", "input": client.job("session", n=1)}

    java = own_broker.java
    java.send_signal(signal.SIGSTOP)
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


async def _until_accepted(client: Client, session: str, body: dict[str, object], key: str) -> str:
    for _ in range(100):
        request = await client.post_once(session, body, key, 1)
        if request.turn_id:
            return request.turn_id
        await asyncio.sleep(0.2)
    raise AssertionError("never accepted")
