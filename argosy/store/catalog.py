"""What a gateway reads about the fleet: which workflows exist, and which worker owns which partition.

Raises: StoreUnavailableError
"""

import uuid
from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("catalog")


class Owner(NamedTuple):
    """The worker that owns a partition. epoch: of its claim; address: of its gRPC server."""

    worker_id: uuid.UUID
    epoch: int
    address: str


class WorkflowRow(NamedTuple):
    """One version of a workflow, as a worker registered it."""

    name: str
    version: str
    build: str
    description: str
    first_seen_at: datetime
    last_seen_at: datetime


async def probe(pool: Pool) -> None:
    """Return when Postgres has answered and takes writes."""
    await pool.execute(_SQL["probe_writing"])


async def list_workflow_names(pool: Pool, lane: str) -> frozenset[str]:
    """Return the names of all workflows that any worker of the lane ever registered."""
    return frozenset(row[0] for row in await pool.fetch(_SQL["list_workflow_names"], lane))


async def list_owners(pool: Pool, lane: str) -> dict[int, Owner]:
    """Return the owner of each partition that has one."""
    return {row[0]: Owner(*row[1:]) for row in await pool.fetch(_SQL["list_owners"], lane)}


async def find_accept_lag_s(pool: Pool, lane: str) -> float | None:
    """Return how far behind accepting is: for how many seconds the slowest partition was not known to be accepted.

    Some seconds when all is well; None when nothing of the lane's log was ever read.
    """
    lag_s: float | None = await pool.fetchval(_SQL["find_accept_lag"], lane)
    return lag_s


async def list_workflows(pool: Pool, lane: str, *, after: tuple[str, str], limit: int) -> list[WorkflowRow]:
    """Return at most `limit` versions of workflows after `after`, in the order of (name, version)."""
    return [WorkflowRow(*row) for row in await pool.fetch(_SQL["list_workflows"], lane, *after, limit)]
