"""What a gateway must know of the fleet: which workflows there are, and who owns which partition.

Raises: StoreUnavailableError
"""

import uuid
from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("catalog")


class Owner(NamedTuple):
    """Whose a partition is. epoch: of its claim; address: where its gRPC server answers."""

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
    """Returns when Postgres answered and takes writes."""
    await pool.execute(_SQL["probe_writing"])


async def list_workflow_names(pool: Pool, lane: str) -> frozenset[str]:
    """Every workflow that a worker of the lane ever registered."""
    return frozenset(row[0] for row in await pool.fetch(_SQL["list_workflow_names"], lane))


async def list_owners(pool: Pool, lane: str) -> dict[int, Owner]:
    """The owner of each partition that has one."""
    return {row[0]: Owner(*row[1:]) for row in await pool.fetch(_SQL["list_owners"], lane)}


async def find_accept_lag_s(pool: Pool, lane: str) -> float | None:
    """How far accepting is behind, by the slowest partition of the lane; some seconds when all is well.

    None: nothing was ever read.
    """
    lag_s: float | None = await pool.fetchval(_SQL["find_accept_lag"], lane)
    return lag_s


async def list_workflows(pool: Pool, lane: str, *, after: tuple[str, str], limit: int) -> list[WorkflowRow]:
    """By name and version, those after a place in that order."""
    return [WorkflowRow(*row) for row in await pool.fetch(_SQL["list_workflows"], lane, *after, limit)]
