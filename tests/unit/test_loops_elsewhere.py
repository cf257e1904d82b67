"""Each kind of error, thrown at the loops of gateways, of maintenance and of the Postgres log: they go on."""

import asyncio
import uuid
from collections.abc import Iterator, MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from argosy.config import load
from argosy.consuming.process_life import Idle, ProcessLife, ProcessRow
from argosy.errors import StoreUnavailableError
from argosy.gateway.catalog import Catalog
from argosy.gateway.log_monitor import LogMonitor
from argosy.gateway.stream.connection import WorkerConnection
from argosy.gateway.stream.subscription import Subscription, Target
from argosy.gateway.together import Together
from argosy.life import ProcessKind
from argosy.log import Entry, Identity, Outcome
from argosy.logs.postgres_connection import PostgresConnection
from argosy.logs.postgres_writer import PostgresWriter
from argosy.logs.topic import turns_topic
from argosy.rpc.peer import Peer
from argosy.rpc.signed_call import Callee
from argosy.store import catalog as stored_catalog
from argosy.store.leader import LeaderSession
from argosy.workers.maintenance.leader import Leader
from tests.dispatch.failing import EACH_KIND, Fails, running
from tests.dispatch.joined_parts import PoolStub, until
from tests.dispatch.said import Said
from tests.harness.hand_clock import HandClock


class Soon(HandClock):
    """A sleep is over at once, and others have their turn."""

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(delay_s)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def said() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as events:
        yield events


@EACH_KIND
async def test_a_catalog_is_read_again_after_reads_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = Fails(error, frozenset({"echo"}))

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(stored_catalog, "list_workflow_names", fails.asynchronously)
    monkeypatch.setattr(stored_catalog, "list_owners", nothing)
    monkeypatch.setattr(stored_catalog, "find_accept_lag_s", nothing)
    catalog = Catalog(PoolStub(), "default", 1.0, 5.0, Soon())

    await catalog.open()
    await until(lambda: catalog.workflow_count == 1)

    await catalog.close()


async def test_a_name_that_was_registered_during_a_read_is_looked_for_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[None] = []
    go_on = asyncio.Event()

    async def names(*_: object) -> frozenset[str]:
        reads.append(None)
        if len(reads) == 2:
            await go_on.wait()
        return frozenset({"echo"}) if len(reads) > 2 else frozenset()

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    clock = Soon()
    monkeypatch.setattr(stored_catalog, "list_workflow_names", names)
    monkeypatch.setattr(stored_catalog, "list_owners", nothing)
    monkeypatch.setattr(stored_catalog, "find_accept_lag_s", nothing)
    catalog = Catalog(PoolStub(), "default", 1_000_000.0, 5.0, clock)
    await catalog.refresh()
    clock.now_s += 1
    older = asyncio.ensure_future(catalog.refresh())
    await until(lambda: len(reads) == 2)

    clock.now_s += 1
    looking = asyncio.ensure_future(catalog.look_for("echo", clock.now_s))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(older, looking)

    assert catalog.has_workflow("echo")
    assert len(reads) == 3
    await catalog.close()


@pytest.mark.parametrize("error", [None, StoreUnavailableError("away")], ids=["answered", "away"])
async def test_questions_of_one_moment_share_one_look_whatever_comes_of_it(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[None] = []

    async def names(*_: object) -> frozenset[str]:
        reads.append(None)
        if error is not None and len(reads) > 1:
            raise error
        return frozenset()

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    clock = Soon()
    monkeypatch.setattr(stored_catalog, "list_workflow_names", names)
    monkeypatch.setattr(stored_catalog, "list_owners", nothing)
    monkeypatch.setattr(stored_catalog, "find_accept_lag_s", nothing)
    catalog = Catalog(PoolStub(), "default", 1_000_000.0, 5.0, clock)
    await catalog.refresh()
    clock.now_s += 1
    asked_s = clock.now_s

    for name in ("one", "another", "a third"):
        await catalog.look_for(name, asked_s)

    assert len(reads) == 2
    assert catalog.is_newer_than(asked_s) is (error is None)
    await catalog.close()


@EACH_KIND
async def test_a_question_that_cannot_be_asked_has_no_answer_and_the_others_do(error: Exception) -> None:
    class Upper:
        async def answer(self, questions: list[str]) -> dict[str, str]:
            if "bad" in questions:
                raise error
            return {each: each.upper() for each in questions}

    together = Together(Upper())
    first = asyncio.create_task(together.ask("bad"))
    others = [asyncio.create_task(together.ask(each)) for each in ("a", "b")]

    assert await first is None
    answers = [await each for each in others]

    assert answers in (["A", "B"], [None, None])  # away is away for all that were asked with it
    assert await together.ask("c") == "C"
    await together.close()


@EACH_KIND
async def test_the_log_is_watched_after_looks_that_failed(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    away: Any = None
    monitor = LogMonitor(away, away, "turns", 1.0, Soon())
    looks = Fails(error, None)
    monkeypatch.setattr(monitor, "look", looks.asynchronously)
    await monitor.open()
    await until(lambda: looks.calls > 5)
    await monitor.close()


@EACH_KIND
async def test_a_receiver_that_fails_keeps_no_other_from_its_items(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Receiver:
        def __init__(self) -> None:
            self.received: list[object] = []
            self.lost = 0

        def receive(self, subscription: Subscription, item: object) -> None:
            self.received.append(item)

        def lose(self, subscription: Subscription) -> None:
            self.lost += 1

    class Broken(Receiver):
        def receive(self, subscription: Subscription, item: object) -> None:
            raise error

        def lose(self, subscription: Subscription) -> None:
            super().lose(subscription)
            raise error

    items = [SimpleNamespace(subscription=number) for number in (1, 2, 1, 2)]
    responses = [SimpleNamespace(items=items), None]

    class Call:
        async def read(self) -> SimpleNamespace | None:
            return responses.pop(0)

        async def write(self, _: object) -> None:
            pass

        def cancel(self) -> None:
            pass

    async def opens(*_: object) -> Call:
        return Call()

    monkeypatch.setattr(Peer, "open", opens)
    connection = WorkerConnection(Callee(uuid.uuid4(), "127.0.0.1:9"), b"k" * 32, HandClock(), Said())
    broken, whole = Broken(), Receiver()
    target = Target("a", 0, turn_id=uuid.uuid4())
    for receiver in (broken, whole):
        connection.subscribe(
            Subscription(receiver, target, connection.callee, epoch=1, resume=(0, 0), credit_bytes=100)
        )

    await until(lambda: connection.is_over)

    assert len(whole.received) == 2
    assert (broken.lost, whole.lost) == (1, 1)
    await connection.close()


@EACH_KIND
async def test_a_role_is_stood_for_after_elections_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood = asyncio.Event()

    async def stands(*_: object) -> None:
        stood.set()
        await asyncio.Event().wait()

    fails = Fails(error, SimpleNamespace(wait=stands, close=lambda: None))
    monkeypatch.setattr(LeaderSession, "open", fails.asynchronously)
    role: Any = SimpleNamespace(name="trim")
    leader = Leader("", role, Soon(), worker_id=uuid.uuid4(), tick_s=1, timeout_s=1, silent_s=1)
    async with running(leader.run()):
        async with asyncio.timeout(5):
            await stood.wait()


@EACH_KIND
async def test_maintenance_says_that_it_lives_after_beats_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, fails = PoolStub(), Fails(error, None, times=10)
    monkeypatch.setattr(pool, "execute", fails.asynchronously)
    row = ProcessRow(load({}), pool, uuid.uuid4(), ProcessKind.MAINTENANCE, "*")
    life = ProcessLife(row, "postgresql://127.0.0.1:9/nobody", Soon(), Idle(), ttl_s=10.0)
    async with running(life.run(1)):
        await until(lambda: fails.calls > 5)


@EACH_KIND
async def test_the_writer_of_the_postgres_log_goes_on_after_connections_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails, connected = Fails(error, None, times=10**9), [True]

    async def opens(_: PostgresConnection) -> None:
        """Connects when the writer is opened, and never again."""
        if not connected:
            await fails.asynchronously()
        connected.clear()

    async def looks(_: PostgresWriter) -> Identity:
        return Identity("cluster", "topic", 1)

    monkeypatch.setattr(PostgresConnection, "open", opens)
    monkeypatch.setattr(PostgresWriter, "look", looks)
    writer = await PostgresWriter.open(load({}), "", turns_topic(load({})), Soon())
    (refused,) = await writer.append([Entry(0, b"k", b"v", ())])
    assert refused.outcome is Outcome.NOT_APPENDED
    (again,) = await writer.append([Entry(0, b"k", b"v", ())])
    assert again.outcome is Outcome.NOT_APPENDED
    assert fails.calls > 0
    await writer.close()
