"""A dispatch worker in the process tree of a gateway."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.local.processes import WORKER
from argosy.local.supervisor import Ended, Part, ProcessPart, Supervisor

log = structlog.get_logger()


@contextmanager
def inline_worker(settings: Settings) -> Iterator[None]:
    """Run a worker as a child while the block lasts, if AGENT_DISPATCH_BACKEND=inline. A worker that ends by itself (it
    was killed, or ended on purpose because it was stuck) is started again. At the end of the block, when the gateway
    has ended, the worker is told to drain and end.
    """
    if settings.agent_dispatch_backend != "inline":
        yield
        return
    worker = ProcessPart(WORKER.label, WORKER.command())
    supervisor = Supervisor(SystemClock(), _InLog())
    supervisor.start(worker)
    stopping = threading.Event()
    watcher = threading.Thread(target=supervisor.watch, args=(stopping,), name="inline worker")
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        watcher.join()
        worker.stop(settings.stop_s)


class _InLog:
    """See Reporter."""

    def say_ended(self, part: Part, ended: Ended, delay_s: float) -> None:
        error = f"{ended.reason}; started again in {delay_s:g} s"
        log.error(telemetry.EMBEDDED_PART_ENDED, part=part.label, error=error)
