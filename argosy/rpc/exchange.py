"""Both sides of a call with a stream of requests and one answer, of which either side may end it first.

A callee that has its answer, or its error, before all requests have come says STOP and reads on for a while. Otherwise
the caller would be writing when the call ends, and gRPC would tell it of the write that failed instead of the error.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

# No answer, which has a code at least. It is not signed: forged, it ends a call, as whoever can forge it can anyway.
STOP: Final = b""
_READS_ON_S: Final = 5.0
_ENDED: Final = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)


async def exchange(stream: Any, messages: AsyncIterator[bytes]) -> Any:
    """Send messages until the callee says something, and return it: a message, or grpc.aio.EOF. Raises AioRpcError as
    the call ends, and what `messages` raises, whatever the callee does.
    """
    reading = asyncio.ensure_future(stream.read())
    try:
        while True:
            coming = asyncio.ensure_future(anext(messages, None))
            try:
                await asyncio.wait((coming, reading), return_when=asyncio.FIRST_COMPLETED)
                if reading.done() or (message := coming.result()) is None:
                    break
            finally:
                coming.cancel()
            await stream.write(message)
        with contextlib.suppress(Exception):  # gRPC's for a call that ends at this moment has no public name
            await stream.done_writing()
    except _ENDED:
        pass  # what is read says why
    except BaseException:
        reading.cancel()
        raise
    said = await reading
    return await stream.read() if said == STOP else said


async def stop(messages: AsyncIterator[bytes], context: Any) -> None:
    """Make the caller send no more requests, before the call is ended with an error."""
    with contextlib.suppress(Exception):
        await context.write(STOP)
        async with asyncio.timeout(_READS_ON_S):
            async for _ in messages:
                pass
