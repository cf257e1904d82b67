"""Each kind of error, thrown at the loops by which a worker owns: it goes on, and others are served."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from argosy.clock import SystemClock
from argosy.config import load
from argosy.store.partition import Claimed
from argosy.workers.dispatch.elsewhere import Elsewhere
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.ownership.changes import Loss, NewClaim
from argosy.workers.dispatch.ownership.handover import Handover
from argosy.workers.dispatch.ownership.takeover import Takeover
from argosy.workers.dispatch.partition_gauges import PartitionGauges
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.store_monitor import StoreMonitor
from argosy.workers.dispatch.tasks import Background
from tests.dispatch.claims import claims_of
from tests.dispatch.failing import EACH_KIND, Fails, Soon, running
from tests.dispatch.failing import said as said
from tests.dispatch.joined_parts import (
    Anything,
    PartitionsStub,
    PoolStub,
    make_owned,
    make_turn,
    until,
)
from tests.dispatch.known_workers_stub import KnownWorkersStub
from tests.dispatch.said import Said, settings_of
from tests.dispatch.test_ownership import Worker


@EACH_KIND
async def test_a_takeover_opens_after_what_former_owners_left_could_not_be_read(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, owned = Said(), make_owned()
    owned.is_open = False
    partitions = PartitionsStub(uuid.uuid4())
    monkeypatch.setattr(partitions, "notes", Fails(error, [], times=2).asynchronously)
    monkeypatch.setattr(partitions, "crashes", Fails(error, {0: 5.0}, times=2).asynchronously)
    takeover = Takeover(partitions, KnownWorkersStub(lambda _: False), Elsewhere(), Soon(), settings_of(), said)
    async with running(takeover.run()):
        takeover.begin([NewClaim(owned, Claimed(7, uuid.uuid4(), 6))])

        await until(lambda: said.of("after_opening") == [[owned]])
        assert owned.crashed_at_s >= 5.0  # what cannot be told counts as a death just now


@EACH_KIND
async def test_partitions_are_claimed_and_read_after_rounds_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(clock=Soon())
    monkeypatch.setattr(worker.store, "claim", Fails(error, worker.store.claim, times=2))
    monkeypatch.setattr(worker.reading, "answer", Fails(error, None, times=2))
    worker.ownership.workers([])
    async with running(worker.ownership.run()):
        worker.ownership.eligible(frozenset({0, 1}))

        await until(lambda: len(worker.reading.looks) >= 3 and all(each.is_reading for each in worker.owned.values()))
        assert sorted(worker.owned) == [0, 1]


@EACH_KIND
async def test_who_is_cut_off_comes_back_although_the_log_could_not_be_told(error: Exception) -> None:
    class Log:
        leave = Fails(error, None).asynchronously
        joined = 0

        async def join(self) -> None:
            self.joined += 1

    log: Any = Log()
    flusher: Any = SimpleNamespace(stalled_s=100.0)
    intake: Any = SimpleNamespace(stalled_s=0.0)
    fills: Any = Anything()
    settings = load({}, owner_lost_s=30.0)
    admission = Admission(flusher, fills, settings)
    monitor = StoreMonitor(log, flusher, intake, admission, fills, Soon(), settings)
    async with running(monitor.run()):
        await until(lambda: admission.is_cut_off)
        flusher.stalled_s = 0.0
        await until(lambda: log.joined == 1)
    assert admission.is_open


@EACH_KIND
async def test_gauges_are_looked_at_after_a_measure_that_failed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges = PartitionGauges(PoolStub(), "default", Scheduler(1), Soon(), claims_of(), measure_s=15)
    looks = Fails(error, None)
    monkeypatch.setattr(gauges, "look", looks)
    async with running(gauges.run()):
        await until(lambda: looks.calls > 5)


@EACH_KIND
async def test_a_note_is_left_after_writes_that_failed_and_who_waits_is_told(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, partitions = Said(), PartitionsStub(uuid.uuid4())
    given: list[list[int]] = []
    fails = Fails(error, lambda partitions, *_: given.append(partitions), times=2)
    monkeypatch.setattr(partitions, "give", fails.asynchronously)

    class Answered:
        async def answered(self) -> None:
            pass

    class HoldsNothing:
        async def until_known(self, owned: Owned) -> None:
            pass

        def forget(self, owned: Owned) -> list[Any]:
            return []

    background = Background(SystemClock())
    handover = Handover(
        partitions,
        Answered(),  # type: ignore[arg-type]
        HoldsNothing(),  # type: ignore[arg-type]
        background,
        Soon(),
        settings_of(handover_s=1.0),
        said,
    )
    owned = make_owned()
    async with running(background.run()):
        turn = make_turn(owned)
        handover.begin([Loss(owned, [turn], has_unread=False, is_taking_up=False)])

        await until(lambda: given == [[0]] and said.of("after_handover") == [turn])
