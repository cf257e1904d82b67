"""The process of `argosy worker ingest`: its checks at the start, its signals, and its end."""

import asyncio
import signal
import sys

import structlog
import uvloop

from argosy import crash_points, telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ArgosyError, SettingError
from argosy.graph.graphs import open_graphs
from argosy.graph.seed import Seed
from argosy.graph.transports.connect import connect_to_shards
from argosy.process.ending import END_S, code_in_flight, end_within
from argosy.process.parent import watch_parent
from argosy.store import migrate, preflight, quick_arrays
from argosy.store.graph import Directory
from argosy.store.patience import when_ready
from argosy.store.pool import open_pool
from argosy.workers.ingest.worker import Worker

log = structlog.get_logger()


def run(settings: Settings, dsn: str, parent_fd: int | None = None) -> int:
    """Run an ingest worker until SIGTERM or SIGINT, or until the pipe parent_fd closes. Returns the exit code."""
    crash_points.arm(settings.argosy_crash_at)
    quick_arrays.install()
    try:
        uvloop.run(_serve(settings, dsn, parent_fd))
    except ArgosyError as error:
        sys.stderr.write(f"argosy worker: {error}\n")
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
    connect = connect_to_shards(settings, clock)
    async with open_pool(settings, dsn) as pool:
        seed = Seed(Directory(pool), connect, clock)
        await when_ready(lambda: seed.settle(settings.graph_service_endpoints, settings.argosy_ready_s))
        async with open_graphs(settings, pool, connect, is_settled=True, clock=clock) as graphs:
            try:
                await Worker(settings, dsn, pool, graphs, clock).run(stopping)
            finally:  # a call of a thread to unreachable brokers must not delay the end of the process
                end_within(END_S, code_in_flight())
