"""A fleet in this process: Postgres as a child process; gateway, workers, maintenance and shard on this event loop.

The parts are those of any fleet. This process is the user's program, so nothing here handles its signals or ends it.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import ArgosyError, UnavailableError
from argosy.extras import has_extra
from argosy.graph.graphs import Graphs, open_graphs
from argosy.graph.transport import Connect
from argosy.local.own_shard import shard_in_process
from argosy.local.postgres import EmbeddedPostgres
from argosy.local.processes import INGEST, MAINTENANCE, WORKER
from argosy.local.sockets import make_private
from argosy.local.supervisor import Ended, Part, Supervisor, TaskPart
from argosy.logs.open import ensure
from argosy.store import migrate, preflight
from argosy.store.catalog import list_workflow_names
from argosy.store.pool import Pool, open_pool
from argosy.store.sealing import check_masters, seal_payloads
from argosy.workflow.catalog import Catalog
from argosy.workflow.embedder import load_embedder
from argosy.workflow.master_keys import load_master_keys

log = structlog.get_logger()

_RESTART_S: Final = 0.5  # at the most: the program that has the fleet waits for it
_READY_LOOK_S: Final = 0.02  # the program waits for its first turn


@contextlib.asynccontextmanager
async def embedded_fleet(settings: Settings, catalog: Catalog, socket_path: Path) -> AsyncIterator[None]:
    """Run a fleet while the block lasts. At its end, steps in flight have DRAIN_TIMEOUT_S to finish; turns that have
    not ended go on when a fleet is started over the same folder again.

    Raises SettingError (another process has the folder, or EMBEDDER cannot be loaded), UnavailableError (Postgres or
    the worker does not start).
    """
    from argosy.gateway.embedded import serving

    clock = SystemClock()
    embedder, masters = load_embedder(settings), load_master_keys(settings)
    async with contextlib.AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(settings.argosy_data_dir / "postgres")
        stack.push_async_callback(in_thread, postgres.stop)
        await in_thread(postgres.start)
        # The user may block this loop, in a notebook for example: that must not end the user's process.
        settings = settings.model_copy(update={"state_db_uri": postgres.dsn, "loop_stuck_s": math.inf})
        await _prepare(settings)
        supervisor = Supervisor(clock, _InLog(), delay_s_max=_RESTART_S)
        await stack.enter_async_context(_watching(supervisor))
        await stack.enter_async_context(_kept(supervisor, TaskPart("Postgres", partial(_keep, postgres))))
        pool = await stack.enter_async_context(open_pool(settings, postgres.dsn))
        await check_masters(pool, masters)
        seal_payloads(pool, masters, clock, settings)
        connect = await stack.enter_async_context(shard_in_process(settings, pool))
        graphs = await stack.enter_async_context(
            open_graphs(settings, pool, connect, is_settled=True, clock=clock, embedder=embedder)
        )
        parts = [
            (MAINTENANCE, partial(_maintain, settings, pool, connect)),
            (WORKER, partial(_work, settings, catalog, pool, graphs)),
        ]
        if settings.graph_service_endpoints or has_extra("graph"):
            parts.append((INGEST, partial(_ingest, settings, pool, graphs)))
        for process, work in parts:
            await stack.enter_async_context(_kept(supervisor, TaskPart(process.label, work)))
        make_private(socket_path.parent)
        await stack.enter_async_context(serving(settings, socket_path, connect))
        try:
            async with asyncio.timeout(settings.argosy_ready_s):
                names = {each.name for each in catalog.definitions}
                while not names <= await list_workflow_names(pool, settings.lane):
                    await clock.sleep(_READY_LOOK_S)
        except TimeoutError as error:
            raise UnavailableError(f"the worker is not ready after {settings.argosy_ready_s:g} s") from error
        yield


async def _prepare(settings: Settings) -> None:
    dsn = settings.state_db_uri
    for warning in await preflight.check(dsn):
        log.warning(telemetry.STORE_WARNING, warning=warning)
    await migrate.migrate(dsn)
    await ensure(settings, dsn)


async def _work(settings: Settings, catalog: Catalog, pool: Pool, graphs: Graphs, stopping: asyncio.Event) -> None:
    """Run a dispatch worker until stopping is set and it has drained."""
    from argosy.workers.dispatch.worker import Worker

    worker = Worker(settings, settings.state_db_uri, catalog, pool, graphs)
    running = asyncio.ensure_future(worker.run())
    asked = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            worker.stop()
        await running
    finally:
        asked.cancel()
        running.cancel()


async def _ingest(settings: Settings, pool: Pool, graphs: Graphs, stopping: asyncio.Event) -> None:
    """Apply what is uploaded to graphs until stopping is set."""
    from argosy.workers.ingest.worker import Worker

    await Worker(settings, settings.state_db_uri, pool, graphs).run(stopping)


async def _maintain(settings: Settings, pool: Pool, connect: Connect, stopping: asyncio.Event) -> None:
    """Run the maintenance roles until stopping is set."""
    from argosy.workers.maintenance.main import stand

    await stand(settings, settings.state_db_uri, pool, stopping, connect)


@contextlib.asynccontextmanager
async def _watching(supervisor: Supervisor) -> AsyncIterator[None]:
    """Start parts again that end by themselves, while the block lasts."""
    task = asyncio.create_task(supervisor.watch_on_loop())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _kept(supervisor: Supervisor, part: TaskPart) -> AsyncIterator[None]:
    """Run a part while the block lasts; at its end, stop the part and wait for it."""
    supervisor.start(part)
    try:
        yield
    finally:
        supervisor.forget(part)
        await part.stop()


class _InLog:
    """See Reporter."""

    def say_ended(self, part: Part, ended: Ended, delay_s: float) -> None:
        bug = None if isinstance(ended.error, ArgosyError) else ended.error
        log.error(telemetry.EMBEDDED_PART_ENDED, part=part.label, error=ended.reason, exc_info=bug)


async def _keep(postgres: EmbeddedPostgres, stopping: asyncio.Event) -> None:
    """Look after Postgres until stopping is set. When Postgres ends by itself, start it again and raise
    UnavailableError: that is logged, and this is called again.
    """
    while postgres.poll() is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _RESTART_S)
            return
    await in_thread(postgres.stop)
    await in_thread(postgres.start)
    raise UnavailableError("Postgres had ended by itself; it runs again")


async def in_thread(function: Callable[[], None]) -> None:
    """Call the function in a thread. When this task is cancelled meanwhile, wait for the end of the call first."""
    call = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait({call})
        raise
