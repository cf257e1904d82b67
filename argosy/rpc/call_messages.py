"""The messages of a signed call, as its callee takes and sends them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from argosy.errors import ShardUnavailableError
from argosy.rpc.call_room import Place
from argosy.rpc.call_signing import Codes
from argosy.rpc.signing import SignatureError

_SENT_WITHIN_S: Final = 30.0  # a large request for which there is room: a slow network needs some time


async def requests_of(
    messages: AsyncIterator[bytes], codes: Codes, decode: Callable[[bytes], Any], place: Place
) -> AsyncIterator[Any]:
    """Yield the requests of a stream. Raises SignatureError when it was cut off, too: then it must have no effect."""
    async for message in messages:
        if codes.is_end(message):
            return
        place.hold(len(message))
        yield decode(codes.body_of(message))
    raise SignatureError("the requests end before their end")


async def only_request(messages: AsyncIterator[bytes], size_bytes: int) -> bytes:
    """Return the request of a call that has one, for which there is this room.

    The messages are read to their end, which a caller sends with its request: gRPC never lets go of the last message of
    a call whose end was not read (1.85), and a shard would keep all that was ever written to it.
    """
    request: bytes | None = None
    try:
        async with asyncio.timeout(_SENT_WITHIN_S):
            async for message in messages:
                if request is not None:
                    raise SignatureError("the call has a second request")
                if len(message) != size_bytes:
                    raise SignatureError(f"the request has {len(message)} bytes, and its call was for {size_bytes}")
                request = message
    except TimeoutError:
        raise ShardUnavailableError("the request did not come: nothing was changed") from None
    if request is None:
        raise SignatureError("the call ends before its request")
    return request


async def write(message: bytes, context: Any) -> None:
    """Send a message. Raises CancelledError when it cannot be sent: the caller has gone, and nobody waits."""
    try:
        await context.write(message)
    except Exception as error:
        raise asyncio.CancelledError from error


async def write_last(message: bytes, context: Any, place: Place) -> None:
    """Send the message that a call ends with. Whoever has it may go before gRPC has said that it was sent, and has been
    answered all the same.
    """
    place.is_answered = True
    await write(message, context)
