"""What operators are shown of the fleet. Pure.

Units: *_s are seconds. Nothing here belongs to a single tenant.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from argosy.life import State, silent_after_s, state_of
from argosy.ranges import in_ranges
from argosy.store.fleet import PartitionMeasure, PartitionsCounted, PartitionSeen, WorkersCounted, WorkerSeen


class FleetWorker(msgspec.Struct, kw_only=True):
    """A worker. state: alive; dead; or silent: its process is there but sends no heartbeats (it is stopped, stuck or
    cut off), and the fleet takes it for dead after HEARTBEAT_TTL_S. in_flight, draining, ready_sessions and lag are
    from heard_s seconds ago.
    """

    worker_id: uuid.UUID
    kind: str
    lane: str
    build: str
    host: str
    pid: int
    address: str
    state: State
    draining: bool
    slots: int
    in_flight: int
    partitions: str
    partition_count: int
    ready_sessions: int
    lag: int
    started_at: datetime
    heard_s: float


class FleetLane(msgspec.Struct, kw_only=True):
    """A lane. lag, slots and running: the sums of its living workers. owner_dead: partitions whose owner is dead;
    `owned` counts them, too, until a living worker takes them over.
    """

    lane: str
    partitions: int
    owned: int
    unowned: int
    owner_dead: int
    lag: int
    workers_alive: int
    workers_silent: int
    workers_dead: int
    slots: int
    running: int


class FleetPage(msgspec.Struct, kw_only=True):
    """All lanes, and one page of workers; `next` is the cursor of the next page, null on the last."""

    lanes: list[FleetLane]
    workers: list[FleetWorker]
    next: str | None


class FleetPartition(msgspec.Struct, kw_only=True):
    """A partition. position: of the next record to be accepted; accepted_through: every record appended before that
    time has become a turn. oldest_turn_s: age of the oldest turn that runs or could run; oldest_waiting_s: age of the
    oldest turn that is suspended or parked; open_turns: how many turns have not ended. is_bounded: the gateway did not
    look at all turns, so these three may be larger. All four are null for another lane than the gateway's.
    epoch: of its last claim, in decimal digits, because it is too large for what reads numbers as floats.
    """

    partition: int
    owner: uuid.UUID | None
    address: str | None
    epoch: str | None
    claimed_at: datetime | None
    log_id: str | None
    position: int | None
    accepted_through: datetime | None
    oldest_turn_s: float | None
    oldest_waiting_s: float | None
    open_turns: int | None
    is_bounded: bool | None


class FleetPartitionPage(msgspec.Struct, kw_only=True):
    """Partitions in order; `next` is the cursor of the next page, null on the last."""

    lane: str
    partitions: list[FleetPartition]
    next: str | None


def worker(row: WorkerSeen, heartbeat_ttl_s: float) -> FleetWorker:
    is_heard = row.heard_s <= silent_after_s(heartbeat_ttl_s)
    return FleetWorker(
        worker_id=row.worker_id,
        kind=row.kind,
        lane=row.lane,
        build=row.build,
        host=row.host,
        pid=row.pid,
        address=row.address,
        state=state_of(holds_lock=row.holds_lock, is_heard=is_heard, server_up_s=row.server_up_s),
        draining=row.is_draining,
        slots=row.slots,
        in_flight=row.in_flight,
        partitions=in_ranges(row.owned),
        partition_count=len(row.owned),
        ready_sessions=row.ready_sessions,
        lag=row.lag,
        started_at=row.started_at,
        heard_s=round(max(0.0, row.heard_s), 3),
    )


def lanes(
    workers: Iterable[WorkersCounted], partitions: Iterable[PartitionsCounted], partition_counts: dict[str, int]
) -> list[FleetLane]:
    """Return the lanes by name.

    partition_counts: how many partitions a lane has, for lanes of which that is known although none may be claimed yet.
    """
    found: dict[str, FleetLane] = {}
    for lane, count in partition_counts.items():
        _lane(found, lane).partitions = count
    for row in partitions:
        each = _lane(found, row.lane)
        each.partitions = max(each.partitions, row.claimed_ever)
        each.owned = row.owned
        each.owner_dead += row.orphaned
    for group in workers:
        _add(_lane(found, group.lane), group)
    for each in found.values():
        each.unowned = each.partitions - each.owned
    return [found[name] for name in sorted(found)]


def _add(lane: FleetLane, group: WorkersCounted) -> None:
    match state_of(holds_lock=group.holds_lock, is_heard=group.is_heard, server_up_s=group.server_up_s):
        case "alive":
            lane.workers_alive += group.workers
            lane.lag += group.lag
            lane.slots += group.slots
            lane.running += group.in_flight
        case "silent":
            lane.workers_silent += group.workers
        case "dead":
            lane.workers_dead += group.workers
            lane.owner_dead += group.owned


def _lane(found: dict[str, FleetLane], name: str) -> FleetLane:
    if name not in found:
        found[name] = FleetLane(lane=name, **dict.fromkeys(_COUNTS, 0))
    return found[name]


_COUNTS: Final = tuple(field for field in FleetLane.__struct_fields__ if field != "lane")


def partition(row: PartitionSeen, measure: PartitionMeasure | None) -> FleetPartition:
    return FleetPartition(
        **(row._asdict() | {"epoch": None if row.epoch is None else str(row.epoch)}),
        oldest_turn_s=_rounded(measure.oldest_turn_s) if measure else None,
        oldest_waiting_s=_rounded(measure.oldest_waiting_s) if measure else None,
        open_turns=measure.open_turns if measure else None,
        is_bounded=measure.is_bounded if measure else None,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 3)
