"""A dispatch worker in the process tree of a gateway."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.local.child import Child
from argosy.local.restart import restart_delay_s

log = structlog.get_logger()

_COMMAND: Final = (sys.executable, "-P", "-m", "argosy", "worker", "dispatch")
_LOOK_S: Final = 0.2
_STOP_S: Final = 40.0


@contextmanager
def inline_worker(settings: Settings) -> Iterator[None]:
    """Run a worker as a child while the block lasts, if AGENT_DISPATCH_BACKEND=inline. A worker that ends by itself (it
    was killed, or ended on purpose because it was stuck) is started again. At the end of the block, when the gateway
    has ended, the worker is told to drain and end.
    """
    if settings.agent_dispatch_backend != "inline":
        yield
        return
    stopping = threading.Event()
    keeper = threading.Thread(target=_keep, args=(_start(), stopping), name="inline worker")
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        keeper.join()


def _start() -> Child:
    return Child.start("worker", _COMMAND)


def _keep(child: Child, stopping: threading.Event) -> None:
    clock = SystemClock()
    started_at_s, delay_s = clock.monotonic_s(), None
    while not stopping.wait(_LOOK_S):
        if (code := child.poll()) is None:
            continue
        delay_s = restart_delay_s(delay_s, clock.monotonic_s() - started_at_s)
        error = f"exit code {code}; started again in {delay_s:g} s"
        log.error(telemetry.EMBEDDED_PART_ENDED, part="the worker", error=error)
        if not stopping.wait(delay_s):
            child, started_at_s = _start(), clock.monotonic_s()
    child.stop(_STOP_S)
