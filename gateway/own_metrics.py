"""/healthz, /readyz and /metrics of one gateway process, on a port of its own.

Several processes serve one socket, and a scrape of that socket would reach any one of them. So each also listens on the
first of their ports that is free: METRICS_PORT, METRICS_PORT + 1 and so on, one for each process. One that takes the
place of a process that ended gets its port; one that finds none waits for one, and serves meanwhile.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from fastapi import FastAPI

from argosy import telemetry
from argosy.address import http_url, to_bind
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.gateway.routes.health import readiness
from argosy.process.ops_server import LOOP_BLOCKED_S, Answer, OpsServer

T = TypeVar("T")

log = telemetry.logger()

_AGAIN_S: Final = 1.0  # between two looks for a free port
_READY_S: Final = 2.0  # more than a look at Postgres takes at the most
_PORT_MAX: Final = 65_535


def ports_of(settings: Settings) -> Sequence[int]:
    """Return the ports of all processes of a gateway, of which each takes one; empty: they have none. 0: a free one.

    A worker of AGENT_DISPATCH_BACKEND=inline has METRICS_PORT itself. Raises SettingError when there are not so many.
    """
    port, count = settings.metrics_port, settings.gateway_workers
    if not port:
        return (0,) if count > 1 else ()
    first = port + 1 if settings.agent_dispatch_backend == "inline" else port
    if first + count - 1 > _PORT_MAX:
        raise SettingError(f"METRICS_PORT={port}: GATEWAY_WORKERS={count} processes need as many ports from there on")
    return range(first, first + count)


def check_ports(settings: Settings) -> None:
    """Raise SettingError when a port that a process is to take cannot be bound now."""
    for port in ports_of(settings):
        family, address = to_bind(settings.metrics_host, port)
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
        except OSError as error:
            of = f" (GATEWAY_WORKERS={settings.gateway_workers})" if settings.gateway_workers > 1 else ""
            words = f"METRICS_HOST={settings.metrics_host}, METRICS_PORT={port}{of}: {error.strerror or error}"
            raise SettingError(words) from error


def serve_metrics(settings: Settings, app: FastAPI) -> None:
    """Serve the metrics of this process for as long as it lives. Called on the loop that serves the app."""
    if ports := ports_of(settings):
        probes = _Probes(app, asyncio.get_running_loop())
        arguments = (settings.metrics_host, ports, probes)
        threading.Thread(target=_open, args=arguments, name="gateway-metrics", daemon=True).start()


def _open(host: str, ports: Sequence[int], probes: "_Probes") -> None:
    while True:
        for port in ports:
            try:
                ops = OpsServer(host, port, probes)
            except SettingError:
                continue  # another one of these processes has it
            ops.start()
            log.info(telemetry.GATEWAY_SERVING, metrics=http_url(host, ops.port, "/metrics"))
            return
        threading.Event().wait(_AGAIN_S)


class _Probes:
    """See Probes. They ask the process's loop, for a bounded time."""

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def health(self) -> Answer:
        return self._ask(_nothing(), LOOP_BLOCKED_S) is not None, {}

    def ready(self) -> Answer:
        state = getattr(self._app.state, "gateway", None)
        found = None if state is None else self._ask(readiness(state), _READY_S)
        return (False, {"ready": False}) if found is None else found

    def _ask(self, work: Coroutine[Any, Any, T], within_s: float) -> T | None:
        """Return what the work comes to on the loop; None when that takes too long."""
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result(within_s)
        except TimeoutError:
            asked.cancel()
            return None


async def _nothing() -> bool:
    return True
