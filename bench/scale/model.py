"""What a fleet needs for so many turns a second: arithmetic on measured costs, and what it leaves out.

A cost is taken to be the same however many machines there are. That is too kind to Postgres, where locks of the log of
writes and of indexes are shared, and too hard on the broker, whose batches grow with the load. So a limit is where one
should have measured before, not a promise.
"""

import math
from typing import Final, NamedTuple

from bench.scale.costs import Costs

RATES: Final = (1_000, 10_000, 100_000)
_DAY_S: Final = 86_400


class Means(NamedTuple):
    """What the parts of a fleet have. used_max: the share of a core that is planned with.

    A worker and a gateway process use one core each at the most: one event loop. wal_mb_s: what the disk of Postgres
    takes, of writes that go one behind the other. replicas: of each record in the log.
    """

    postgres_cores: int = 32
    wal_mb_s: float = 500.0
    partitions: int = 256
    replicas: int = 3
    used_max: float = 0.6


class Needs(NamedTuple):
    """What a fleet needs at a rate. Cores are those that are busy; processes are planned at `Means.used_max`."""

    turns_s: int
    gateways: int
    workers: int
    kafka_cores: float
    postgres_cores: float
    wal_mb_s: float
    network_mb_s: float
    postgres_gb_day: float
    kafka_gb_day: float
    idle_share: float


def needs(costs: Costs, turns_s: int, means: Means) -> Needs:
    """Return what so many turns a second need, posted in batches."""
    workers = _processes(costs.worker_us, turns_s, means)
    return Needs(
        turns_s=turns_s,
        gateways=_processes(costs.gateway_us, turns_s, means),
        workers=workers,
        kafka_cores=turns_s * costs.kafka_us / 1e6 * means.replicas,
        postgres_cores=turns_s * costs.postgres_us / 1e6,
        wal_mb_s=turns_s * costs.wal_size_bytes / 1e6,
        network_mb_s=turns_s * costs.network_size_bytes / 1e6,
        postgres_gb_day=turns_s * costs.postgres_size_bytes * _DAY_S / 1e9,
        kafka_gb_day=turns_s * costs.kafka_size_bytes * _DAY_S / 1e9 * means.replicas,
        idle_share=workers * costs.idle_commits_s / max(turns_s * costs.commits, 1e-9),
    )


def limits(costs: Costs, means: Means) -> list[tuple[str, float]]:
    """Return what ends growth, and the turns a second at which it does, the first one first.

    Gateways are not among them: they share nothing, so there can be more of them.
    """
    found = [
        ("the cores of one Postgres", means.postgres_cores * means.used_max / costs.postgres_us * 1e6),
        ("the log of writes of one Postgres", means.wal_mb_s * means.used_max / costs.wal_size_bytes * 1e6),
        (
            "workers, of which no more than partitions have work",
            means.partitions * means.used_max / costs.worker_us * 1e6,
        ),
    ]
    return sorted(found, key=lambda each: each[1])


def _processes(cost_us: float, turns_s: int, means: Means) -> int:
    return max(1, math.ceil(turns_s * cost_us / 1e6 / means.used_max))
