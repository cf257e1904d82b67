"""What is computed from the costs of a turn, for a fleet of many machines."""

import pytest

from bench.scale.costs import Costs
from bench.scale.model import Means, limits, needs

COSTS = Costs(
    gateway_us=20,
    single_gateway_us=200,
    worker_us=60,
    kafka_us=30,
    postgres_us=60,
    network_size_bytes=1_000,
    wal_size_bytes=2_000,
    postgres_size_bytes=1_500,
    kafka_size_bytes=500,
    commits=0.05,
    session_turns_s=1_000,
    suspended_size_bytes=1_200,
    idle_commits_s=1.0,
)
MEANS = Means(postgres_cores=32, wal_mb_s=500, partitions=256, replicas=3, used_max=0.6)


def test_processes_are_planned_at_the_share_of_a_core_that_is_used() -> None:
    found = needs(COSTS, 10_000, MEANS)

    assert (found.gateways, found.workers) == (1, 1)
    assert needs(COSTS, 100_000, MEANS).workers == 10
    assert needs(COSTS, 100_000, MEANS._replace(used_max=0.3)).workers == 20


def test_replicas_cost_the_log_alone() -> None:
    one, three = (needs(COSTS, 1_000, MEANS._replace(replicas=replicas)) for replicas in (1, 3))

    assert three.kafka_cores == pytest.approx(3 * one.kafka_cores) == pytest.approx(0.09)
    assert three.kafka_gb_day == pytest.approx(3 * one.kafka_gb_day) == pytest.approx(129.6)
    assert (three.postgres_cores, three.wal_mb_s) == (one.postgres_cores, one.wal_mb_s)


def test_the_first_limit_is_what_saturates_first() -> None:
    by_disk = limits(COSTS, MEANS)
    by_partitions = limits(COSTS, MEANS._replace(partitions=4))

    assert by_disk[0][0] == "the log of writes of one Postgres"
    assert by_disk[0][1] == pytest.approx(150_000)
    assert by_partitions[0][0].startswith("workers")
    assert by_partitions[0][1] == pytest.approx(40_000)
    assert [rate for _, rate in by_disk] == sorted(rate for _, rate in by_disk)


def test_idle_workers_are_a_small_part_of_what_postgres_is_asked() -> None:
    assert needs(COSTS, 100_000, MEANS).idle_share == pytest.approx(10 / 5_000)
