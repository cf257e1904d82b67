"""Worker processes: their rows, what they can run, and their signs of life.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from argosy.life import ProcessKind
from argosy.store.pool import UNAVAILABLE, Pool, unavailable
from argosy.store.queries import load_queries

_SQL: Final = load_queries("worker")
_WAIT: Final = "10s"  # bound of one statement that waits for a death; the next one follows it

FLEET_CHANNEL: Final = "argosy_fleet"


class Beat(NamedTuple):
    """What a worker reports with a heartbeat. thread_waits: turns that wait for a thread."""

    in_flight: int
    is_draining: bool
    owned: list[int]
    ready_sessions: int
    lag: int
    threads_abandoned: int = 0
    thread_waits: Sequence[uuid.UUID] = ()


class Told(NamedTuple):
    """What the database answers to a heartbeat. cluster_id, topic: the log of the worker's lane, or None."""

    lineage: int
    cluster_id: str | None
    topic: str | None


class WorkerFact(NamedTuple):
    """What Postgres knows about a worker (functions/signs_of_life.sql)."""

    worker_id: uuid.UUID
    worker_no: int
    lane: str
    address: str
    is_draining: bool
    holds_lock: bool
    heard_s: float
    server_up_s: float


class Workers:
    """The rows of worker processes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def register(
        self,
        worker_id: uuid.UUID,
        *,
        kind: ProcessKind,
        lane: str,
        build: str,
        host: str,
        pid: int,
        address: str,
        metrics_port: int,
        slots: int,
        workflows: Sequence[tuple[str, str, str]],
    ) -> int:
        """Register a process and return its number, which names its lock (take_lock).

        workflows: (name, version, description); of several versions of a name, new turns run with the last.
        """
        names, versions, descriptions = zip(*workflows, strict=True) if workflows else ((), (), ())
        last = {name: index for index, name in enumerate(names)}
        is_latest = [last[name] == index for index, name in enumerate(names)]
        about = (worker_id, kind, lane, build, host, pid, address, metrics_port, slots)
        worker_no: int = await self._pool.fetchval(_SQL["register_worker"], *about, names, versions, is_latest)
        await self._pool.execute(_SQL["upsert_workflows"], lane, build, names, versions, descriptions)
        await self._pool.execute(_SQL["notify_fleet"])
        return worker_no

    async def forget_dead(self, after_s: float) -> None:
        """Delete the rows of workers that have not been heard of for after_s seconds."""
        await self._pool.execute(_SQL["forget_workers"], after_s)

    async def remove(self, worker_id: uuid.UUID) -> None:
        """Delete the rows of a process that ends in an orderly way."""
        await self._pool.execute(_SQL["remove_worker"], worker_id)
        await self._pool.execute(_SQL["notify_fleet"])


async def beat(connection: Any, worker_id: uuid.UUID, said: Beat) -> Told | None:
    """Write a heartbeat over the caller's own connection. None when the worker's row is gone."""
    try:
        row = await connection.fetchrow(
            _SQL["beat"],
            worker_id,
            said.is_draining,
            said.in_flight,
            said.owned,
            said.ready_sessions,
            said.lag,
            said.threads_abandoned,
            list(said.thread_waits),
        )
    except asyncpg.ForeignKeyViolationError:
        return None
    except (asyncpg.PostgresError, *UNAVAILABLE) as error:  # a full disk, too: the next heartbeat may get through
        raise unavailable(error) from error
    return Told(*row)


async def take_lock(connection: Any, worker_no: int) -> bool:
    """Take the worker's advisory lock, its sign of life, for as long as the connection lasts; False when that fails.

    A backend of a connection that the worker has lost may still hold the lock; it is ended first. If it ended by itself
    later, nobody would hold the lock for a while.
    """
    if await connection.fetchval(_SQL["take_lock"], worker_no):
        return True
    await connection.fetchval(_SQL["end_lock_holders"], worker_no)
    return bool(await connection.fetchval(_SQL["take_lock"], worker_no))


async def wait_for_death(connection: Any, worker_no: int) -> None:
    """Return when nobody holds the lock of that worker."""
    await connection.execute(_SQL["bound_wait"], _WAIT)
    while True:
        try:
            await connection.execute(_SQL["wait_for_death"], worker_no)
        except asyncpg.LockNotAvailableError:
            continue
        return


async def notify_fleet(connection: Any) -> None:
    """Make every listener on FLEET_CHANNEL look which workers live."""
    await connection.execute(_SQL["notify_fleet"])


async def known(connection: Any) -> list[WorkerFact]:
    """Return all dispatch workers that may live: those heard of in the last hour."""
    return [WorkerFact(*row) for row in await connection.fetch(_SQL["list_known"])]
