"""What /metrics says of partitions."""

import uuid

import pytest
from prometheus_client import REGISTRY

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.store import fleet
from argosy.store.fleet import PartitionMeasure
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.partition_gauges import PartitionGauges
from argosy.workers.dispatch.scheduling.reads import Read
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Turn
from tests.dispatch.claims import claims_of


def shown(name: str, partition: int) -> float | None:
    return REGISTRY.get_sample_value(name, {"partition": str(partition)})


def ready_turn(owned: Owned, place: int) -> Turn:
    return Turn(
        owned=owned, turn_id=uuid.uuid4(), tenant="t", session_id=uuid.uuid4(), session_name="s", bucket=0, place=place,
        workflow="echo", priority=0, input=b"null",
    )  # fmt: skip


async def test_partitions_are_shown_while_they_are_owned(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(*_: object, **__: object) -> list[PartitionMeasure]:
        return [PartitionMeasure(901, 7.5, None, 1, False), PartitionMeasure(902, None, 9.0, 1, False)]

    monkeypatch.setattr(fleet, "measure_partitions", measure)
    owned = {number: Owned(number, (7 << 32) + 5, (number, number)) for number in (901, 902)}
    claims = claims_of(*owned.values())
    scheduler = Scheduler(look_ahead_turns=1)
    scheduler.accepted(ready_turn(owned[902], 1), is_head=True, read=Read())
    gauges = PartitionGauges(None, "default", scheduler, SystemClock(), claims, measure_s=15)  # type: ignore[arg-type]

    gauges.look()
    await gauges.measure()
    telemetry.PARTITION_LAG.labels(partition="901").set(3)
    before = [
        shown(f"argosy_partition_{name}", 901) for name in ("epoch", "ready_sessions", "oldest_turn_seconds", "lag")
    ]
    names = ("epoch", "ready_sessions", "oldest_turn_seconds", "oldest_waiting_turn_seconds")
    other = [shown(f"argosy_partition_{name}", 902) for name in names]
    del claims.owned[901]
    gauges.look()
    await gauges.measure()
    after = [
        shown(f"argosy_partition_{name}", 901) for name in ("epoch", "ready_sessions", "oldest_turn_seconds", "lag")
    ]

    assert before == [5, 0, 7.5, 3]
    assert other == [5, 1, 0, 9]
    assert after == [None] * 4


async def test_a_worker_that_owns_nothing_asks_nothing() -> None:
    gauges = PartitionGauges(None, "default", Scheduler(1), SystemClock(), claims_of(), measure_s=15)  # type: ignore[arg-type]

    await gauges.measure()
