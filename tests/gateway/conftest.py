"""The real app over a real Postgres and the real Postgres log, with a tenant of its own for each test."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from argosy import config
from argosy.config import Settings
from argosy.gateway.app import create_app
from argosy.logs.open import ensure
from argosy.store.identity import Identities
from argosy.store.pool import open_pool
from tests.conftest import fresh_database, in_thread
from tests.gateway.asked import World, fill
from tests.gateway.conformance import document_of
from tests.gateway.graph_shard import shard_served
from tests.gateway.rows import Rows
from tests.harness.tcp_proxy import PostgresProxy

OpenGateway = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture(scope="session")
def gateway_dsn(postgres_dsn: str, template_18: str) -> Iterator[str]:
    """A migrated database with a topic, shared by the tests of the gateway."""
    with fresh_database(postgres_dsn, template_18) as dsn:

        async def prepare() -> None:
            await ensure(config.load({}, state_db_uri=dsn), dsn)
            connection = await asyncpg.connect(dsn)
            await connection.execute(
                "INSERT INTO argosy.workflows (lane, name, version, build) VALUES ('default', 'echo', '1', 'b')"
            )
            await connection.close()

        in_thread(prepare)
        yield dsn


@pytest.fixture
def tenant() -> str:
    """Nobody else's."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def settings(gateway_dsn: str, tmp_path: Path) -> Settings:
    """A key is looked for as long as it takes: how long Postgres needs is not what these tests are about."""
    return config.load(
        {}, state_db_uri=gateway_dsn, argosy_data_dir=tmp_path, allow_tenant_header=True, gateway_key_lookup_s=30.0
    )


@asynccontextmanager
async def gateway_of(settings: Settings, tenant: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway in this process."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://localhost",
            headers={"x-argosy-tenant": tenant},
            timeout=30,
            event_hooks={"response": [document_of(settings).check]},
        ) as client,
    ):
        client.state = app.state.gateway  # type: ignore[attr-defined]
        yield client


@pytest.fixture
async def open_gateway(settings: Settings, tenant: str) -> AsyncIterator[OpenGateway]:
    """Opens gateways with other settings."""
    async with AsyncExitStack() as stack:

        async def open_one(**changes: Any) -> httpx2.AsyncClient:
            return await stack.enter_async_context(gateway_of(settings.model_copy(update=changes), tenant))

        yield open_one


@pytest.fixture
async def alone(gateway_dsn: str) -> None:
    """Gateways of tests before, which could not say that they ended, count no longer."""
    connection = await asyncpg.connect(gateway_dsn, server_settings={"search_path": "argosy"})
    await connection.execute("DELETE FROM limit_gateways; DELETE FROM limit_streams")
    await connection.close()


@pytest.fixture
async def client(open_gateway: OpenGateway) -> httpx2.AsyncClient:
    return await open_gateway()


@pytest.fixture
async def rows(gateway_dsn: str, tenant: str) -> AsyncIterator[Rows]:
    connection = await asyncpg.connect(gateway_dsn, server_settings={"search_path": "argosy"})
    yield Rows(connection, tenant)
    await connection.close()


@pytest.fixture
async def proxy(gateway_dsn: str) -> AsyncIterator[PostgresProxy]:
    """Between a gateway and its Postgres."""
    proxy = PostgresProxy(gateway_dsn)
    await proxy.allow()
    yield proxy
    await proxy.close()


@pytest.fixture
def settings_with_tokens(settings: Settings) -> Settings:
    return settings.model_copy(update={"kg_auth_required": True, "allow_tenant_header": False, "gateway_cache_s": 0.05})


@pytest.fixture
async def world(settings_with_tokens: Settings, rows: Rows, tmp_path: Path) -> AsyncIterator[World]:
    settings = settings_with_tokens
    app = create_app(settings, has_signals=False)
    async with open_pool(settings, settings.state_db_uri) as pool, shard_served(settings, tmp_path / "shard"):
        world = World(app, settings, Identities(pool), rows)
        for name in (world.owner, world.stranger, world.twin):
            await world.tenant(name)
        async with app.router.lifespan_context(app):
            await fill(world)
            yield world
