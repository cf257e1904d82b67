"""A gateway behind a real socket, and an owner that says what a test tells it to, over real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn

from argosy.config import Settings
from argosy.gateway.app import create_app
from argosy.gateway.server import server_config
from argosy.gateway.stream import sync_points
from tests.gateway.rows import Rows
from tests.gateway.stream.owner import Owner
from tests.gateway.stream.reader import Reader
from tests.gateway.stream.until import until

SECRET = "a secret of the tests, long enough"

Serve = Callable[..., Awaitable["Gateway"]]


class Gateway:
    """One that serves; state: of its process, which is this one."""

    def __init__(self, server: uvicorn.Server, app: Any, port: int, tenant: str) -> None:
        self.server = server
        self.state = app.state.gateway
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {"x-argosy-tenant": tenant}
        self.client = httpx2.AsyncClient(base_url=self.url, headers=self.headers, timeout=20)

    def read(self, path: str, last: str = "", **headers: str) -> Reader:
        """A stream; use it with `async with`."""
        given = {"accept": "text/event-stream", **self.headers, **headers}
        if last:
            given["last-event-id"] = last
        return Reader(self.url, path, given)


@asynccontextmanager
async def served(settings: Settings, tenant: str) -> AsyncIterator[Gateway]:
    app = create_app(settings)
    config = server_config(app, settings, is_own_process=False, port=0, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started, within_s=20)
    gateway = Gateway(server, app, server.servers[0].sockets[0].getsockname()[1], tenant)
    try:
        yield gateway
    finally:
        await gateway.client.aclose()
        gateway.state.drain()
        server.should_exit = True
        await task


@pytest.fixture
async def serve(settings: Settings, tenant: str) -> AsyncIterator[Serve]:
    """Starts gateways."""
    async with AsyncExitStack() as stack:

        async def serve_one(**changes: Any) -> Gateway:
            changed = {"graph_service_auth_secret": SECRET, "gateway_cache_s": 0.2, **changes}
            return await stack.enter_async_context(served(settings.model_copy(update=changed), tenant))

        yield serve_one


@pytest.fixture
async def owner(rows: Rows) -> AsyncIterator[Owner]:
    """Owns every partition of the database while the test runs."""
    async with Owner(SECRET.encode()) as started:
        await started.own(rows.connection)
        yield started
        await rows.connection.execute("DELETE FROM partitions")


@pytest.fixture
async def gateway(owner: Owner, serve: Serve) -> Gateway:
    """With an owner of everything."""
    return await serve()


@pytest.fixture(autouse=True)
def _unarmed() -> Any:
    yield
    sync_points.arm(None)
