"""The process of a dispatch worker: its checks at the start, its signals, and its end."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from argosy import crash_points
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.consuming.worker_process import STOP_SIGNALS, check_database
from argosy.errors import ArgosyError, WorkflowError
from argosy.graph.embedder import Embedder
from argosy.graph.graphs import Graphs, open_graphs
from argosy.graph.seed import Seed
from argosy.graph.transports.connect import connect_to_shards
from argosy.process import fork, garbage
from argosy.process.ending import BROKEN_CODE, END_S, code_in_flight, end_within
from argosy.process.parent import watch_parent
from argosy.store import quick_arrays
from argosy.store.graph import Directory
from argosy.store.patience import when_ready
from argosy.store.pool import Pool, open_pool
from argosy.store.sealing import check_masters, seal_payloads
from argosy.workers.dispatch import own_loop
from argosy.workers.dispatch.aside import stand_aside
from argosy.workers.dispatch.worker import Worker
from argosy.workflow.catalog import Catalog
from argosy.workflow.embedder import load_embedder
from argosy.workflow.master_keys import load_master_keys


def run(settings: Settings, dsn: str, parent_fd: int | None = None, *, is_strict: bool = False) -> int:
    """Run a worker until SIGTERM or SIGINT (a second one ends it at once), or until the pipe parent_fd closes.

    Returns the exit code. An error that makes the start impossible ends the worker with one line on stderr. So does a
    workflow that cannot be loaded, if is_strict; otherwise the worker stands aside, and /readyz says why.
    """
    crash_points.arm(settings.argosy_crash_at)
    quick_arrays.install()
    try:
        own_loop.run(_serve(settings, dsn, parent_fd, is_strict))
    except WorkflowError as error:
        sys.stderr.write(f"argosy worker: {error}\n")
        return BROKEN_CODE
    except ArgosyError as error:
        sys.stderr.write(f"argosy worker: {error}\n")
        return 1
    return 0


async def _serve(settings: Settings, dsn: str, parent_fd: int | None, is_strict: bool) -> None:
    await check_database(dsn)
    catalog = Catalog.load(settings.argosy_workflows)
    if catalog.broken:
        if is_strict:
            raise WorkflowError("; ".join(map(str, catalog.broken)))
        await stand_aside(settings, catalog.broken, STOP_SIGNALS, parent_fd)
        return
    embedder, masters = load_embedder(settings), load_master_keys(settings)
    async with open_pool(settings, dsn) as pool, _graphs(settings, pool, embedder) as graphs:
        await check_masters(pool, masters)
        seal_payloads(pool, masters, SystemClock(), settings)
        worker = Worker(settings, dsn, catalog, pool, graphs)
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, worker.stop)
        fork.protect(loop, STOP_SIGNALS)
        if parent_fd is not None:
            # When the parent is gone without a word, our Postgres may be gone too: end at once, without a drain.
            watch_parent(parent_fd, lambda: None, 0.0)
        garbage.settle()
        try:
            await worker.run()
        finally:  # neither threads of user code nor its tasks that ignore their cancellation may hold up the end
            end_within(END_S, code_in_flight())


@contextlib.asynccontextmanager
async def _graphs(settings: Settings, pool: Pool, embedder: Embedder | None) -> AsyncIterator[Graphs]:
    clock = SystemClock()
    connect = connect_to_shards(settings, clock)
    seed = Seed(Directory(pool), connect, clock)
    await when_ready(lambda: seed.settle(settings.graph_service_endpoints, settings.argosy_ready_s))
    async with open_graphs(settings, pool, connect, is_settled=True, clock=clock, embedder=embedder) as graphs:
        yield graphs
