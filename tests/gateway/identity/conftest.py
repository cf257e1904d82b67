"""Gateways that ask who comes, over a real Postgres, and tokens for their clients."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from argosy.config import Settings
from argosy.gateway.app import create_app
from argosy.store.pool import open_pool
from tests.gateway.conformance import document_of
from tests.gateway.identity.logins import MovedClock
from tests.gateway.identity.tokens import Tokens

OpenGuarded = Callable[..., Awaitable[httpx2.AsyncClient]]


@asynccontextmanager
async def guarded_of(settings: Settings, **more: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client, without a credential, of a gateway in this process. more: see create_app."""
    app = create_app(settings, **more)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, client=("192.0.2.7", 1234)),
            base_url="http://localhost",
            timeout=30,
            event_hooks={"response": [document_of(settings).check]},
        ) as client,
    ):
        client.state = app.state.gateway  # type: ignore[attr-defined]
        yield client


@pytest.fixture
async def tokens(settings: Settings, tenant: str) -> AsyncIterator[Tokens]:
    """With the test's tenant."""
    async with open_pool(settings, settings.state_db_uri) as pool:
        made = Tokens(pool, tenant)
        await made.make_tenant(tenant)
        yield made


@pytest.fixture
async def open_guarded(settings: Settings) -> AsyncIterator[OpenGuarded]:
    """Opens gateways that need a token, with other settings."""
    async with AsyncExitStack() as stack:

        async def open_one(**changes: Any) -> httpx2.AsyncClient:
            changed = {
                "kg_auth_required": True, "allow_tenant_header": False, "gateway_cache_s": 0.2, **changes
            }  # fmt: skip
            return await stack.enter_async_context(guarded_of(settings.model_copy(update=changed)))

        yield open_one


@pytest.fixture
async def guarded(open_guarded: OpenGuarded) -> httpx2.AsyncClient:
    return await open_guarded()


@pytest.fixture
async def near(settings: Settings, tenant: str) -> Any:
    """Opens gateways that are asked from their own machine; with the same clock, if that is given."""
    async with AsyncExitStack() as stack:

        async def open_one(clock: MovedClock | None = None, **changes: Any) -> httpx2.AsyncClient:
            guarding = {"kg_auth_required": True, "allow_tenant_header": False, "gateway_cache_s": 0.1}
            changed = settings.model_copy(update=guarding | changes)
            client = await stack.enter_async_context(guarded_of(changed, clock=clock or MovedClock()))
            client._transport.client = ("127.0.0.1", 1234)  # type: ignore[attr-defined]
            return client

        yield open_one
