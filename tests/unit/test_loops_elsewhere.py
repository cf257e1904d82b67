"""Each kind of error, thrown at the loops of gateways, of maintenance and of the Postgres log: they go on."""

import asyncio
import uuid
from types import SimpleNamespace

import pytest
import structlog

from argosy.config import load
from argosy.errors import StoreUnavailableError
from argosy.gateway import catalog as gateway_catalog
from argosy.gateway.catalog import Catalog
from argosy.gateway.log_monitor import LogMonitor
from argosy.gateway.stream.connection import WorkerConnection
from argosy.gateway.stream.subscription import Subscription, Target
from argosy.gateway.together import Together
from argosy.log import Entry, Identity, Outcome
from argosy.logs.postgres_writer import PostgresWriter
from argosy.rpc.signed_call import Callee
from argosy.workers.maintenance import leader as leader_module
from argosy.workers.maintenance.leader import Leader
from argosy.workers.maintenance.life import Life
from tests.dispatch.test_loops_outlive_errors import EACH_KIND, Fails, running, until
from tests.harness.hand_clock import HandClock


class Soon(HandClock):
    """A sleep is over at once, and others have their turn."""

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(delay_s)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def said():
    with structlog.testing.capture_logs() as events:
        yield events


@EACH_KIND
async def test_a_catalog_is_read_again_after_reads_that_failed(error, monkeypatch):
    fails = Fails(error, frozenset({"echo"}))

    async def nothing(*_):
        return {}

    monkeypatch.setattr(gateway_catalog.catalog, "list_workflow_names", fails.asynchronously)
    monkeypatch.setattr(gateway_catalog.catalog, "list_owners", nothing)
    monkeypatch.setattr(gateway_catalog.catalog, "find_accept_lag_s", nothing)
    catalog = Catalog(None, "default", 1.0, 5.0, Soon())

    await catalog.open()
    await until(lambda: catalog.workflow_count == 1)

    await catalog.close()


async def test_a_name_that_was_registered_during_a_read_is_looked_for_once_more(monkeypatch):
    reads, go_on = [], asyncio.Event()

    async def names(*_):
        reads.append(None)
        if len(reads) == 2:
            await go_on.wait()
        return frozenset({"echo"}) if len(reads) > 2 else frozenset()

    async def nothing(*_):
        return {}

    clock = Soon()
    monkeypatch.setattr(gateway_catalog.catalog, "list_workflow_names", names)
    monkeypatch.setattr(gateway_catalog.catalog, "list_owners", nothing)
    monkeypatch.setattr(gateway_catalog.catalog, "find_accept_lag_s", nothing)
    catalog = Catalog(None, "default", 1_000_000.0, 5.0, clock)
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
async def test_questions_of_one_moment_share_one_look_whatever_comes_of_it(error, monkeypatch):
    reads = []

    async def names(*_):
        reads.append(None)
        if error is not None and len(reads) > 1:
            raise error
        return frozenset()

    async def nothing(*_):
        return {}

    clock = Soon()
    monkeypatch.setattr(gateway_catalog.catalog, "list_workflow_names", names)
    monkeypatch.setattr(gateway_catalog.catalog, "list_owners", nothing)
    monkeypatch.setattr(gateway_catalog.catalog, "find_accept_lag_s", nothing)
    catalog = Catalog(None, "default", 1_000_000.0, 5.0, clock)
    await catalog.refresh()
    clock.now_s += 1
    asked_s = clock.now_s

    for name in ("one", "another", "a third"):
        await catalog.look_for(name, asked_s)

    assert len(reads) == 2
    assert catalog.is_newer_than(asked_s) is (error is None)
    await catalog.close()


@EACH_KIND
async def test_a_question_that_cannot_be_asked_has_no_answer_and_the_others_do(error):
    async def answer(questions):
        if "bad" in questions:
            raise error
        return {each: each.upper() for each in questions}

    together = Together(answer)
    first = asyncio.create_task(together.ask("bad"))
    others = [asyncio.create_task(together.ask(each)) for each in ("a", "b")]

    assert await first is None
    answers = [await each for each in others]

    assert answers in (["A", "B"], [None, None])  # away is away for all that were asked with it
    assert await together.ask("c") == "C"
    await together.close()


@EACH_KIND
async def test_the_log_is_watched_after_looks_that_failed(error):
    monitor = LogMonitor(None, None, "turns", 1.0, Soon())
    monitor.look = looks = Fails(error, None).asynchronously
    async with running(monitor._run()):
        await until(lambda: looks.__self__.calls > 5)


@EACH_KIND
async def test_a_receiver_that_fails_keeps_no_other_from_its_items(error):
    class Receiver:
        def __init__(self):
            self.received, self.lost = [], False

        def receive(self, subscription, item):
            self.received.append(item)

        def lose(self, subscription):
            self.lost = True

    class Broken(Receiver):
        def receive(self, subscription, item):
            raise error

        lose = Fails(error, None, times=10)

    items = [SimpleNamespace(subscription=number) for number in (1, 2, 1, 2)]
    responses = [SimpleNamespace(items=items), None]

    class Call:
        async def read(self):
            return responses.pop(0)

    connection = WorkerConnection(Callee(uuid.uuid4(), "127.0.0.1:9"), b"k" * 32, HandClock(), lambda _: None)
    await connection.close()
    connection.is_over = False
    broken, whole = Broken(), Receiver()
    target = Target("a", 0, turn_id=uuid.uuid4())
    for receiver in (broken, whole):
        connection.subscribe(
            Subscription(receiver, target, connection.callee, epoch=1, resume=(0, 0), credit_bytes=100)
        )

    await connection._read(Call())
    connection._end()

    assert len(whole.received) == 2
    assert whole.lost


@EACH_KIND
async def test_a_role_is_stood_for_after_elections_that_failed(error, monkeypatch):
    stood = asyncio.Event()

    async def stands(*_):
        stood.set()
        await asyncio.Event().wait()

    fails = Fails(error, SimpleNamespace(wait=stands, close=lambda: None))
    monkeypatch.setattr(leader_module.LeaderSession, "open", fails.asynchronously)
    leader = Leader("", SimpleNamespace(name="trim"), Soon(), worker_id=uuid.uuid4(), tick_s=1, timeout_s=1, silent_s=1)
    async with running(leader.run()):
        async with asyncio.timeout(5):
            await stood.wait()


@EACH_KIND
async def test_maintenance_says_that_it_lives_after_beats_that_failed(error):
    life = Life(load({}), "postgresql://127.0.0.1:9/nobody", None, Soon(), uuid.uuid4())
    life._register = fails = Fails(error, None, times=10).asynchronously
    async with running(life.run(1)):
        await until(lambda: fails.__self__.calls > 5)


@EACH_KIND
async def test_the_writer_of_the_postgres_log_goes_on_after_connections_that_failed(error):
    writer = PostgresWriter(load({}), "", Soon())
    writer._identity = Identity("cluster", "topic", 1)
    writer._connection.open = fails = Fails(error, None, times=10**9).asynchronously
    async with running(writer._run()):
        (refused,) = await writer.append([Entry(0, b"k", b"v", ())])
        assert refused.outcome is Outcome.NOT_APPENDED
        await until(lambda: fails.__self__.calls > 0)
