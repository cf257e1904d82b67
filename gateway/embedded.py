"""A gateway inside another program's process: on a Unix socket, without signal handlers, for as long as a block."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import uvicorn

from argosy.config import Settings
from argosy.errors import UnavailableError
from argosy.gateway.app import create_app
from argosy.gateway.server import server_config
from argosy.graph.transport import Connect
from argosy.process import fork

_LOOK_S: Final = 0.005  # the program waits for its start
_STOP_S: Final = 5  # the program waits for its end, too


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle no signals: they belong to the host program."""
        yield


@contextlib.asynccontextmanager
async def serving(settings: Settings, path: Path, connect: Connect) -> AsyncIterator[None]:
    """Serve on the Unix socket at path for as long as the block lasts. connect: to the shards.

    A socket that a dead process left there is removed: the caller makes sure that no other process serves there, and
    that the folder is its own alone. Raises UnavailableError when the gateway does not start.
    """
    app = create_app(settings, connect=connect, has_signals=False, is_private=True)
    config = server_config(app, settings, is_own_process=False, timeout_graceful_shutdown=_STOP_S)
    server = _Server(config)
    with _bound(path) as bound:
        task = asyncio.create_task(_serve(server, bound))
        try:
            while not server.started:
                await asyncio.wait({task}, timeout=_LOOK_S)
                if task.done():
                    task.result()
            yield
        finally:
            if server.started:
                app.state.gateway.drain()
            server.should_exit = True
            await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        fork.own_name(str(path))
        try:
            yield bound
        finally:
            path.unlink(missing_ok=True)


async def _serve(server: uvicorn.Server, bound: socket.socket) -> None:
    try:
        await server.serve(sockets=[bound])
    except SystemExit:  # uvicorn's way to say that the application does not start
        raise UnavailableError("the gateway in this process does not start") from None
    if not server.started:
        raise UnavailableError("the gateway in this process does not start")
