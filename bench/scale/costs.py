"""What is measured of one turn, and of a fleet that has nothing to do."""

from typing import NamedTuple


class Costs(NamedTuple):
    """Costs of one turn (200 bytes of input, one recorded step, three durable events) at full load, in batches.

    gateway_us, worker_us, kafka_us, postgres_us: microseconds of CPU, of the broker without replicas.
    single_gateway_us: of the gateway, for a turn that is posted alone. network_size_bytes: on all connections but those
    to Postgres. wal_size_bytes, postgres_size_bytes: what Postgres writes ahead, and what its tables and indexes grow
    by. kafka_size_bytes: what the log grows by, without replicas. commits: transactions of Postgres. session_turns_s:
    what one session does a second. suspended_size_bytes: memory of a suspended turn in its worker. idle_commits_s:
    transactions a second of Postgres for each worker that has nothing to do.
    """

    gateway_us: float
    single_gateway_us: float
    worker_us: float
    kafka_us: float
    postgres_us: float
    network_size_bytes: float
    wal_size_bytes: float
    postgres_size_bytes: float
    kafka_size_bytes: float
    commits: float
    session_turns_s: float
    suspended_size_bytes: float
    idle_commits_s: float
