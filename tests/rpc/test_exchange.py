"""Both sides of a call with a stream of requests, at moments that no server can be made to choose."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from argosy.rpc.exchange import exchange


class DeadlineError(Exception):
    """How the call ends."""


class EndingCall:
    """A call that ends while its caller says that it has written everything."""

    def __init__(self) -> None:
        self._has_ended = asyncio.Event()

    async def read(self) -> bytes:
        await self._has_ended.wait()
        raise DeadlineError

    async def write(self, message: bytes) -> None:
        pass

    async def done_writing(self) -> None:
        self._has_ended.set()
        raise RuntimeError("Failed execute_batch")


async def messages() -> AsyncIterator[bytes]:
    yield b"one"


async def test_how_a_call_ends_says_what_is_read_and_not_what_could_not_be_written() -> None:
    with pytest.raises(DeadlineError):
        await exchange(EndingCall(), messages())
