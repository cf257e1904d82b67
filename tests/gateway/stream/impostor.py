"""Somebody without the secret who answers as a worker, over real gRPC."""

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from argosy.rpc.signed_pb2 import Signed
from argosy.rpc.signing import NONCE_HEADER, WORKER_HEADER, Signer, nonce, stream_keys
from argosy.rpc.watch_pb2 import Item, Subscribed, WatchRequest, WatchResponse
from tests.gateway.stream.owner import event

Say = Callable[[bytes], bytes]


class Impostor(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every subscription with events that it invents, as the worker that it is asked for. It has no secret.

    sign: of what it says. received: what it was told.
    """

    def __init__(
        self, sign: Callable[["Impostor"], Say], worker_id: uuid.UUID | None = None, address: str = "127.0.0.1:0"
    ) -> None:
        self.worker_id = worker_id or uuid.uuid4()
        self.received: list[bytes] = []
        self.caller_nonce = b""
        self.nonce = nonce()
        self._sign = sign
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(address)}"

    async def __aenter__(self) -> "Impostor":
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    def service(self, _: Any) -> Any:
        """As GenericRpcHandler."""
        return grpc.stream_stream_rpc_method_handler(self._watch)

    async def _watch(self, messages: AsyncIterator[bytes], context: Any) -> None:
        self.caller_nonce = dict(context.invocation_metadata())[NONCE_HEADER]
        await context.send_initial_metadata(((NONCE_HEADER, self.nonce), (WORKER_HEADER, self.worker_id.bytes)))
        say = self._sign(self)
        async for message in messages:
            self.received.append(message)
            items = []
            for each in WatchRequest.FromString(Signed.FromString(message).body).subscribe:
                forged = event(uuid.UUID(bytes=each.turn_id), 2, "turn.completed", data=b'{"result":"forged"}')
                items += [
                    Item(subscription=each.subscription, subscribed=Subscribed(epoch=1 << 40)),
                    Item(subscription=each.subscription, event=forged),
                ]
            await context.write(say(WatchResponse(items=items).SerializeToString()))


def unsigned(_: Impostor) -> Say:
    return lambda body: bytes(Signed(body=body).SerializeToString())


def bare(_: Impostor) -> Say:
    return lambda body: body


def with_another_secret(impostor: Impostor) -> Say:
    stream = (impostor.worker_id.bytes, impostor.caller_nonce, impostor.nonce)
    return Signer(stream_keys(b"a guess", "/argosy.rpc.v2.Watch/Watch", *stream).responses).sign


def with_what_it_received(impostor: Impostor) -> Say:
    return lambda body: bytes(Signed(body=body, mac=Signed.FromString(impostor.received[-1]).mac).SerializeToString())


def as_an_echo(impostor: Impostor) -> Say:
    return lambda _: impostor.received[-1]
