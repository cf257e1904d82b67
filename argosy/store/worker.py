"""Worker processes: what they are, what they can run, and that they live.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from argosy.store.pool import UNAVAILABLE, Pool, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("worker")


class Workers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def register(
        self,
        worker_id: uuid.UUID,
        *,
        kind: str,
        lane: str,
        build: str,
        host: str,
        pid: int,
        address: str,
        metrics_port: int,
        slots: int,
        workflows: Sequence[tuple[str, str, str]],
    ) -> None:
        """The process begins. workflows: (name, version, description)."""
        await self._pool.execute(
            _SQL["register_worker"], worker_id, kind, lane, build, host, pid, address, metrics_port, slots
        )
        names, versions, descriptions = zip(*workflows, strict=True) if workflows else ((), (), ())
        await self._pool.execute(_SQL["upsert_workflows"], lane, build, names, versions, descriptions)

    async def forget_dead(self, after_s: float) -> None:
        """Remove what is kept of workers that have not been heard of for after_s seconds."""
        await self._pool.execute(_SQL["forget_workers"], after_s)

    async def remove(self, worker_id: uuid.UUID) -> None:
        """The process ends in an orderly way."""
        await self._pool.execute(_SQL["remove_worker"], worker_id)


async def beat(connection: Any, worker_id: uuid.UUID, *, in_flight: int, is_draining: bool) -> None:
    """Say that the worker lives, over a connection of the caller's own."""
    try:
        await connection.execute(_SQL["beat"], worker_id, is_draining, in_flight)
    except asyncpg.ForeignKeyViolationError:
        pass  # it has just been removed
    except (asyncpg.PostgresError, *UNAVAILABLE) as error:  # a full disk too: the next beat may come through
        raise unavailable(error) from error
