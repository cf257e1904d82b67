from collections.abc import AsyncIterator

import pytest

from tests.client.scripted import Scripted
from tests.harness.fixtures import *  # noqa: F403


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted


@pytest.fixture
async def other_gateway() -> AsyncIterator[Scripted]:
    async with Scripted() as scripted:
        yield scripted
