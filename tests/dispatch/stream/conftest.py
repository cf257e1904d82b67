"""A worker's side of streams, served to real clients."""

from collections.abc import AsyncIterator

import pytest

from tests.dispatch.stream.gateway import Gateway
from tests.dispatch.stream.owner import Owner


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    await owner.start()
    yield owner
    await owner.stop()


@pytest.fixture
async def gateway(owner: Owner) -> AsyncIterator[Gateway]:
    async with Gateway(owner.address, owner.worker_id) as gateway:
        yield gateway
