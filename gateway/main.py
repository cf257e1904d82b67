"""`argosy gateway`: one listening socket and GATEWAY_WORKERS processes that serve it.

All of them end when the process that started them is gone.
"""

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
from functools import partial
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from argosy import crash_points, log_lines, telemetry
from argosy.address import check_reach, host_port, http_url, to_bind
from argosy.config import Settings
from argosy.errors import ArgosyError, SettingError
from argosy.gateway.app import create_app
from argosy.gateway.own_metrics import check_ports, serve_metrics
from argosy.gateway.preflight import preflight
from argosy.gateway.server import server_config
from argosy.process import garbage
from argosy.process.parent import EXIT_CODE_ABANDONED, watch_parent

log = telemetry.logger()

BACKLOG: Final = 2_048  # uvicorn's default; the kernel takes no more than net.core.somaxconn


def run(settings: Settings, parent_fd: int | None = None) -> int:
    """Serve until SIGTERM or SIGINT, or until the pipe parent_fd closes; return the exit code.

    A gateway that cannot work ends at once with one line on stderr and exit code 1: a port is taken, the address may
    not be bound, or the broker or the Postgres that the settings name is not there.
    """
    try:
        with bind(settings) as bound:
            check_ports(settings)
            asyncio.run(preflight(settings))
            return _serve(settings, bound, parent_fd)
    except ArgosyError as error:
        sys.stderr.write(f"argosy gateway: {error}\n")
        return 1


def bind(settings: Settings) -> socket.socket:
    """Return the listening socket. Raises SettingError when HOST is refused or HOST and PORT cannot be bound."""
    host, port = settings.host, settings.port
    check_reach(host, is_remote_allowed=settings.gateway_allow_remote)
    try:
        family, address = to_bind(host, port)
        bound = socket.socket(family)
    except OSError as error:
        raise SettingError(f"{host_port(host, port)} cannot be bound: {error.strerror} (HOST, PORT)") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
        bound.set_inheritable(True)
    except OSError as error:
        bound.close()
        raise SettingError(f"{host_port(host, port)} cannot be bound: {error.strerror} (HOST, PORT)") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the URL at which clients reach a listening socket."""
    return http_url(*bound.getsockname()[:2])


def _serve(settings: Settings, bound: socket.socket, parent_fd: int | None) -> int:
    address = address_of(bound)
    sys.stdout.write(f"gateway: {address}\n")
    sys.stdout.flush()
    log.info(telemetry.GATEWAY_STARTED, address=address, processes=settings.gateway_workers, log=settings.log_backend)
    if not settings.kg_auth_required:
        log.warning(telemetry.GATEWAY_UNAUTHENTICATED, address=address, tenant_header=settings.allow_tenant_header)
    config = server_config(
        partial(_app_of_process, settings),
        settings,
        is_own_process=True,
        factory=True,
        workers=settings.gateway_workers,
        loop="uvloop",
        backlog=BACKLOG,
        timeout_keep_alive=settings.gateway_keep_alive_s,
        timeout_graceful_shutdown=int(settings.gateway_stop_s / 2),
    )
    if parent_fd is not None:
        watch_parent(parent_fd, _ask_to_stop, settings.gateway_stop_s)
    if settings.gateway_workers > 1:
        Multiprocess(config, sockets=[bound]).run()
        is_started = True
    else:
        server = uvicorn.Server(config)
        _stop_by_signal(server)
        server.run(sockets=[bound])
        is_started = server.started
    log.info(telemetry.GATEWAY_STOPPED)
    return 0 if is_started else 1


def _stop_by_signal(server: uvicorn.Server) -> None:
    """Make SIGTERM and SIGINT stop the server.

    A uvicorn server that stopped for a signal raises the signal once more, for the handler that was there before it.
    Without this handler that is Python's default, which would end the process before it logs its stop and returns its
    exit code.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _app_of_process(settings: Settings) -> object:
    """Return the app, made in the process that serves it. One of several processes ends when their supervisor ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        log_lines.set_up_logging(settings.log_level, settings.log_format)
        threading.Thread(
            target=_end_with, args=(parent.sentinel, settings.gateway_stop_s), name="watch-parent", daemon=True
        ).start()
    crash_points.arm(settings.argosy_crash_at)
    app = create_app(settings)
    serve_metrics(settings, app)
    garbage.settle()
    return app


def _end_with(sentinel: int, within_s: float) -> None:
    multiprocessing.connection.wait([sentinel])
    _ask_to_stop()
    threading.Event().wait(within_s)
    os._exit(EXIT_CODE_ABANDONED)
