"""The process of `argosy maintain`: a candidate for every role."""

import asyncio
import math
import sys
import uuid
from collections.abc import Sequence
from typing import Final

import structlog
import uvloop

from argosy import crash_points, telemetry
from argosy.address import http_url
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.consuming.process_life import Idle, ProcessLife, ProcessRow
from argosy.consuming.worker_process import check_database, stopping_event
from argosy.errors import ArgosyError
from argosy.graph.members import Members
from argosy.graph.transport import Connect
from argosy.graph.transports.connect import connect_to_shards
from argosy.life import ProcessKind
from argosy.process.ending import END_S, code_in_flight, end_within
from argosy.process.ops_server import Answer, OpsServer
from argosy.store.graph import Directory
from argosy.store.pool import Pool, open_pool
from argosy.workers.maintenance.census import Census
from argosy.workers.maintenance.dropping import Dropping
from argosy.workers.maintenance.erasing import Erasing
from argosy.workers.maintenance.forgetting import GraphsForgetting
from argosy.workers.maintenance.horizon import Horizon
from argosy.workers.maintenance.leader import Leader
from argosy.workers.maintenance.rebalance import Rebalance
from argosy.workers.maintenance.retention import Retention
from argosy.workers.maintenance.role import Role
from argosy.workers.maintenance.trim import Trim

log = structlog.get_logger()

_EVERY_LANE: Final = "*"  # no lane has this name
# How long a leader rests at the most, where somebody waits to see what was asked for begin.
_TICK_S_MAX: Final = {Rebalance.name: 2.0, Erasing.name: 2.0, Census.name: 5.0}
_SHARE: Final = 0.25  # share of MAINTENANCE_TIMEOUT_S (then a tick counts as hung) that one tick may use


def run(settings: Settings, dsn: str, parent_fd: int | None = None) -> int:
    """Stand for every role until SIGTERM or SIGINT, or until the pipe parent_fd closes. Returns the exit code."""
    crash_points.arm(settings.argosy_crash_at)
    try:
        uvloop.run(_serve(settings, dsn, parent_fd))
    except ArgosyError as error:
        sys.stderr.write(f"argosy maintain: {error}\n")
        return 1
    return 0


async def _serve(settings: Settings, dsn: str, parent_fd: int | None) -> None:
    await check_database(dsn)  # which refuses a proxy that pools transactions: no leader could hold a lock behind it
    stopping = stopping_event(parent_fd)
    connect = connect_to_shards(settings, SystemClock())
    async with open_pool(settings, dsn) as pool:
        try:
            await stand(settings, dsn, pool, stopping, connect)
        finally:  # a thread's call to unreachable brokers must not delay the end of the process
            end_within(END_S, code_in_flight())


async def stand(settings: Settings, dsn: str, pool: Pool, stopping: asyncio.Event, connect: Connect) -> None:
    """Stand for every role until `stopping` is set. Raises an error after which a role cannot go on.

    connect: to the shards.
    """
    clock, worker_id = SystemClock(), uuid.uuid4()
    directory = Directory(pool)
    members = Members(directory, connect, settings, clock)
    share_s = settings.maintenance_timeout_s * _SHARE
    rebalance = Rebalance(settings, pool, directory, members, clock, share_s)
    roles: list[Role] = [
        Trim(settings, dsn, pool, clock, share_s),
        Retention(settings, pool, clock, share_s),
        Horizon(settings, pool, clock),
        Dropping(directory, members, clock, share_s),
        rebalance,
        Erasing(settings, pool, GraphsForgetting(directory, members, clock), clock, share_s),
        Census(pool, clock),
    ]
    leaders = [
        Leader(
            dsn,
            role,
            clock,
            worker_id=worker_id,
            tick_s=min(settings.maintenance_tick_s, _TICK_S_MAX.get(role.name, math.inf)),
            timeout_s=settings.maintenance_timeout_s,
            silent_s=settings.leader_silent_s,
        )
        for role in roles
    ]
    ops = OpsServer(settings.metrics_host, settings.metrics_port, _Candidates(leaders))
    ops.start()
    row = ProcessRow(settings, pool, worker_id, ProcessKind.MAINTENANCE, _EVERY_LANE)
    life = ProcessLife(row, dsn, clock, Idle(), ttl_s=settings.heartbeat_ttl_s)
    running = (life.run(ops.port), members.watch(), *(leader.run() for leader in leaders))
    tasks = [asyncio.create_task(work) for work in running]
    log.info(
        telemetry.MAINTENANCE_STARTED,
        worker_id=str(worker_id),
        roles=[role.name for role in roles],
        metrics=http_url(settings.metrics_host, ops.port, "/metrics"),
    )
    try:
        waiting = asyncio.create_task(stopping.wait())
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await rebalance.close()
        await life.end()
        await members.close()
        ops.stop()


class _Candidates:
    """The probes of the process: candidates that wait are as ready as leaders."""

    def __init__(self, leaders: Sequence[Leader]) -> None:
        self._leaders = leaders

    def health(self) -> Answer:
        return True, {}

    def ready(self) -> Answer:
        states = {leader.name: leader.state for leader in self._leaders}
        return "away" not in states.values(), states
