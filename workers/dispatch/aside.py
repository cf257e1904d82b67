"""A worker that cannot load one of its workflows stands aside: it is not the build that it was meant to be.

It registers nothing, joins no group, claims and borrows nothing, and holds no connection, so healthy workers keep what
they have. /readyz answers that it is not ready, and why. The remedy is to start it again with a workflow that loads, or
without that workflow.
"""

import asyncio
from collections.abc import Sequence
from signal import Signals

import structlog

from argosy import telemetry
from argosy.config import Settings
from argosy.process.ops_server import Answer, OpsServer
from argosy.process.parent import watch_parent
from argosy.workflow.catalog import Broken

log = structlog.get_logger()


async def stand_aside(
    settings: Settings, broken: Sequence[Broken], stop_signals: Sequence[Signals], parent_fd: int | None
) -> None:
    """Stand aside until one of stop_signals arrives. When the pipe parent_fd closes, the process ends at once."""
    stopping = asyncio.Event()
    for number in stop_signals:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if parent_fd is not None:
        watch_parent(parent_fd, lambda: None, 0.0)
    for each in broken:
        log.error(telemetry.WORKFLOWS_BROKEN, entry=each.entry, error=each.error, where=each.where)
    ops = OpsServer(settings.metrics_host, settings.metrics_port, _Aside(broken))
    ops.start()
    try:
        await stopping.wait()
    finally:
        ops.stop()


class _Aside:
    """The probes of a worker that stands aside."""

    def __init__(self, broken: Sequence[Broken]) -> None:
        self._broken = broken

    def health(self) -> Answer:
        return True, {}

    def ready(self) -> Answer:
        return False, {"waits_for": f"workflows that can be loaded: {'; '.join(map(str, self._broken))}"}
