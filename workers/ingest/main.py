"""The process of `argosy worker ingest`: its checks at the start, its signals, and its end."""

import os
import sys

import uvloop

from argosy import crash_points
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.consuming.worker_process import check_database, stopping_event
from argosy.errors import ArgosyError
from argosy.graph.graphs import open_graphs
from argosy.graph.seed import Seed
from argosy.graph.transports.connect import connect_to_shards
from argosy.process.ending import END_S, code_in_flight, end_within
from argosy.store import quick_arrays
from argosy.store.graph import Directory
from argosy.store.patience import when_ready
from argosy.store.pool import open_pool
from argosy.store.sealing import check_masters, seal_payloads
from argosy.workers.ingest.worker import Worker
from argosy.workflow.master_keys import load_master_keys


def run(settings: Settings, dsn: str, parent_fd: int | None = None) -> int:
    """Run an ingest worker until SIGTERM or SIGINT, or until the pipe parent_fd closes. Returns the exit code."""
    crash_points.arm(settings.argosy_crash_at)
    os.nice(settings.ingest_nice)  # before there are other threads: on Linux each has its own, and what it starts
    quick_arrays.install()
    try:
        uvloop.run(_serve(settings, dsn, parent_fd))
    except ArgosyError as error:
        sys.stderr.write(f"argosy worker: {error}\n")
        return 1
    return 0


async def _serve(settings: Settings, dsn: str, parent_fd: int | None) -> None:
    await check_database(dsn)
    stopping = stopping_event(parent_fd)
    clock = SystemClock()
    connect = connect_to_shards(settings, clock)
    masters = load_master_keys(settings)
    async with open_pool(settings, dsn) as pool:
        await when_ready(lambda: check_masters(pool, masters))
        seal_payloads(pool, masters, clock, settings)
        seed = Seed(Directory(pool), connect, clock)
        await when_ready(lambda: seed.settle(settings.graph_service_endpoints, settings.argosy_ready_s))
        async with open_graphs(settings, pool, connect, is_settled=True, clock=clock) as graphs:
            try:
                await Worker(settings, dsn, pool, graphs, clock).run(stopping)
            finally:  # a call of a thread to unreachable brokers must not delay the end of the process
                end_within(END_S, code_in_flight())
