"""Calls to a shard, byte by byte: what somebody on the network can record, alter and send again."""

from typing import Any, Final, NamedTuple

import grpc
import grpc.aio

from argosy.clock import SystemClock
from argosy.graph.transports.methods import SHARD
from argosy.rpc.call_signing import CALL_HEADER, REQUESTS, Codes, Opening, call_key, header_of
from argosy.rpc.peer import path_of
from tests.shards.served import KEY, Served


class Recorded(NamedTuple):
    """A call with one request, as it is on the wire."""

    path: str
    header: bytes
    message: bytes


def recorded(served: Served, method: str, request: Any, *, key: bytes = KEY, **opening: Any) -> Recorded:
    """Return a call that is valid, but for what is given of its opening."""
    path = path_of(SHARD.methods_by_name[method])
    opened = Opening.of_now(served.engine.member_id, SystemClock().unix_ms())._replace(**opening)
    key_of_call = call_key(key, path, opened)
    message = Codes(key_of_call, REQUESTS).sign(request.SerializeToString())
    return Recorded(path, header_of(opened, key_of_call), message)


async def send(served: Served, call: Recorded) -> tuple[grpc.StatusCode, str]:
    """Send what was recorded. Return the status and its details."""
    async with grpc.aio.insecure_channel(served.address) as channel:
        sent = channel.unary_unary(call.path)(call.message, metadata=((CALL_HEADER, call.header),), timeout=5)
        return await sent.code(), await sent.details()


async def status_of(served: Served, call: Recorded) -> grpc.StatusCode:
    return (await send(served, call))[0]


OK: Final = grpc.StatusCode.OK
REFUSED: Final = grpc.StatusCode.UNAUTHENTICATED
