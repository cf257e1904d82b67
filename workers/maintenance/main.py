"""The process of `argosy maintain`: a candidate for every role."""

import asyncio
import signal
import sys
from typing import Any

import structlog
import uvloop

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ArgosyError, SettingError
from argosy.ops_server import OpsServer
from argosy.process.parent import watch_parent
from argosy.store import migrate, preflight
from argosy.store.pool import open_pool
from workers.maintenance.leader import Leader
from workers.maintenance.retention import Retention
from workers.maintenance.role import Role
from workers.maintenance.trim import Trim

log = structlog.get_logger()

_SILENT_TICKS = 3


def run(settings: Settings, dsn: str, parent_fd: int | None = None) -> int:
    """Stand for every role until SIGTERM or SIGINT, or until the pipe parent_fd closes. Returns the exit code."""
    try:
        uvloop.run(_serve(settings, dsn, parent_fd))
    except ArgosyError as error:
        sys.stderr.write(f"argosy maintain: {error}\n")
        return 1
    return 0


async def _serve(settings: Settings, dsn: str, parent_fd: int | None) -> None:
    for warning in await preflight.check(dsn):
        log.warning(telemetry.STORE_WARNING, warning=warning)
    if missing := await migrate.pending(dsn):
        raise SettingError(f"the database lacks migration {missing[0]}: run `argosy migrate`")
    if parent_fd is not None:
        watch_parent(parent_fd, lambda: None, 0.0)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    clock = SystemClock()
    async with open_pool(settings, dsn) as pool:
        roles: list[Role] = [Trim(settings, dsn, pool, clock), Retention(settings, pool)]
        leaders = [_candidate(settings, dsn, role, clock) for role in roles]
        ops = OpsServer(settings.metrics_host, settings.metrics_port, health=_well, ready=_well)
        ops.start()
        tasks = [asyncio.create_task(leader.run()) for leader in leaders]
        log.info(telemetry.MAINTENANCE_STARTED, roles=[role.name for role in roles], metrics_port=ops.port)
        try:
            waiting = asyncio.create_task(stopping.wait())
            done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            ops.stop()


def _candidate(settings: Settings, dsn: str, role: Role, clock: SystemClock) -> Leader:
    tick_s, timeout_s = settings.maintenance_tick_s, settings.maintenance_timeout_s
    return Leader(
        dsn,
        role,
        clock,
        tick_s=tick_s,
        timeout_s=timeout_s,
        silent_s=_SILENT_TICKS * tick_s + timeout_s,
        wait_s=settings.leader_wait_s,
    )


def _well() -> tuple[bool, dict[str, Any]]:
    """Candidates that wait are as well as leaders; a database that is away makes nobody ill."""
    return True, {}
