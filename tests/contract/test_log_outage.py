"""What argosy/log.py promises while the log is away. Each test has a server of its own to kill."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from argosy.errors import LogUnavailableError
from argosy.local.broker import Broker
from argosy.local.postgres import EmbeddedPostgres
from argosy.log import Appended, LogWriter, Outcome
from argosy.logs.open import ensure_topic, open_reader, open_writer
from tests.conftest import open_folder
from tests.contract.conftest import Log, Owner, entries, new_log, until
from tests.harness import broker_nodes

APPEND_TIMEOUT_S = 4.0


class Server(Protocol):
    """where: as new_log takes it."""

    where: dict[str, str]

    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def stall(self) -> None: ...
    def go_on(self) -> None: ...


class KafkaServer:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.where = {"brokers": broker.bootstrap_servers}

    def kill(self) -> None:
        broker_nodes.kill(self.broker, 1)

    def restart(self) -> None:
        self.broker.restart(1)

    def stall(self) -> None:
        os.kill(broker_nodes.pid_of(self.broker, 1), signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(broker_nodes.pid_of(self.broker, 1), signal.SIGCONT)


class PostgresServer:
    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.where = {"dsn": server.dsn}

    def _family(self) -> list[psutil.Process]:
        postmaster = psutil.Process(self.server.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def kill(self) -> None:
        family = self._family()
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)

    def restart(self) -> None:
        self.server.stop()
        self.server.start()

    def stall(self) -> None:
        for process in self._family():
            process.suspend()

    def go_on(self) -> None:
        for process in self._family():
            process.resume()


@pytest.fixture(scope="module")
def kafka() -> Iterator[Broker]:
    with open_folder() as path, Broker(path, port=0) as broker:
        yield broker


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with open_folder() as path, EmbeddedPostgres(path) as server:
        yield server


@pytest.fixture(params=["kafka", "postgres"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "kafka":
        return KafkaServer(request.getfixturevalue("kafka"))
    return PostgresServer(request.getfixturevalue("postgres"))


@pytest.fixture
async def log(server: Server) -> AsyncIterator[Log]:
    async with new_log(**server.where, append_timeout_s=APPEND_TIMEOUT_S) as log:
        yield log


class Poster:
    """Appends one record after the other from a few tasks, and keeps what became of each."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.results: dict[bytes, Appended] = {}
        self.longest_s = 0.0
        self.writer: LogWriter
        self.begun = 0  # appends; the records are numbered from 1
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, tasks: int = 4) -> None:
        self.writer = writer = await self.log.writer()

        async def post(partition: int) -> None:
            loop = asyncio.get_running_loop()
            while True:
                self.begun += 1
                [entry] = entries(partition, 1, self.begun)
                began_s = loop.time()
                [self.results[entry.value]] = await writer.append([entry])
                self.longest_s = max(self.longest_s, loop.time() - began_s)
                await asyncio.sleep(0.01)

        self._tasks = [asyncio.create_task(post(partition)) for partition in range(tasks)]

    def count(self, outcome: Outcome) -> int:
        return sum(one.outcome is outcome for one in self.results.values())

    async def grows(self, outcome: Outcome, within_s: float = 20.0) -> None:
        before = self.count(outcome)
        await until(lambda: self.count(outcome) > before + 20, within_s)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def judge(log: Log, poster: Poster) -> None:
    """Read all: what was appended is there once, what was not is not."""
    await poster.stop()
    writer = await log.writer()
    for partition in range(4):
        [last] = await writer.append([entries(partition, 1, 10_000_000)[0]])
        assert last.outcome is Outcome.APPENDED
    owner = await log.owner()
    await until(lambda: all(owner.values(partition)[-1:] == [b"10000000"] for partition in range(4)), 30.0)
    seen = [value for partition in range(4) for value in owner.values(partition)[:-1]]
    assert len(seen) == len(set(seen))
    for value, result in poster.results.items():
        if result.outcome is not Outcome.UNKNOWN:
            assert (value in seen) == (result.outcome is Outcome.APPENDED), result
    assert poster.longest_s < APPEND_TIMEOUT_S + 1.0


@pytest.mark.slow
async def test_a_dead_log_is_said_to_be_dead_at_once_and_is_used_again_when_it_is_back(
    log: Log, server: Server
) -> None:
    poster = Poster(log)
    await poster.start()
    await poster.grows(Outcome.APPENDED)

    await asyncio.to_thread(server.kill)
    before = poster.begun  # of these some were acknowledged before, and their callers are told only now
    await poster.grows(Outcome.NOT_APPENDED)
    assert not any(one.outcome is Outcome.APPENDED for value, one in poster.results.items() if int(value) > before)
    async with asyncio.timeout(0.5):
        [refused] = await poster.writer.append(entries(0, 1, 20_000_000))
    assert refused.outcome is Outcome.NOT_APPENDED

    await asyncio.to_thread(server.restart)
    await poster.grows(Outcome.APPENDED, 30.0)
    await judge(log, poster)


async def test_a_log_that_stalls_is_answered_for_within_the_bound(log: Log, server: Server) -> None:
    poster = Poster(log)
    await poster.start()
    await poster.grows(Outcome.APPENDED)

    server.stall()
    try:
        await until(lambda: poster.count(Outcome.UNKNOWN) > 0, APPEND_TIMEOUT_S + 2.0)
    finally:
        server.go_on()

    await poster.grows(Outcome.APPENDED, 30.0)
    await judge(log, poster)


async def until_away(owner: Owner) -> None:
    """What the log was a moment ago may still be told; soon it is said to be away."""
    async with asyncio.timeout(10):
        while True:
            try:
                await owner.reader.identity()
            except LogUnavailableError:
                return
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_reader_survives_the_death_of_the_log(log: Log, server: Server) -> None:
    writer = await log.writer()
    owner = await log.owner()
    await writer.append(entries(0, 100))
    await until(lambda: owner.count == 100)

    await asyncio.to_thread(server.kill)
    with pytest.raises(LogUnavailableError):
        await owner.reader.spans([0])
    await until_away(owner)
    await asyncio.to_thread(server.restart)

    async def is_back() -> bool:
        return (await writer.append(entries(1, 1)))[0].outcome is Outcome.APPENDED

    await until(is_back, 30.0)
    await writer.append(entries(0, 100, 100))
    await until(lambda: set(owner.values(0)) == {b"%d" % n for n in range(200)}, 30.0)
    # A member that was away for longer than the group's session reads again from its position, which here stays 0.
    assert list(dict.fromkeys(record.position for record in owner.records(0))) == list(range(200))


@pytest.mark.slow
async def test_a_log_that_is_away_at_the_start_is_said_to_be(log: Log, tmp_path: Path) -> None:
    if log.dsn:
        dsn, settings = "postgresql://argosy@127.0.0.1:1/argosy", log.settings
    else:
        dsn, settings = "", log.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})

    with pytest.raises(LogUnavailableError):
        await ensure_topic(settings, dsn, log.topic)
    with pytest.raises(LogUnavailableError):
        await open_writer(settings, dsn, log.topic)
    reader = open_reader(settings, dsn, log.topic)
    with pytest.raises(LogUnavailableError):
        await reader.open(lambda batch: None, lambda partitions: None)
    await reader.close()
