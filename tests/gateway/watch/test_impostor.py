"""Somebody else has the address of the owner: what it says reaches no client, and Postgres is read instead."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy import telemetry
from argosy.rpc.signed_pb2 import Signed
from argosy.rpc.watch_pb2 import Item, Subscribed, WatchRequest, WatchResponse
from argosy.signing import NONCE_HEADER, WORKER_HEADER, Signer, nonce, stream_keys
from tests.gateway.rows import Rows
from tests.gateway.watch.conftest import Gateway, Serve
from tests.gateway.watch.owner import Owner, event
from tests.gateway.watch.turns import add_event, path_of, running
from tests.gateway.watch.until import until
from tests.harness.relay import Relay

Say = Callable[[bytes], bytes]


class Impostor(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every subscription with events that it invents, as the worker that it is asked for. It has no secret.

    sign: of what it says. heard: what it was told.
    """

    def __init__(self, sign: Callable[["Impostor"], Say]) -> None:
        self.worker_id = uuid.uuid4()
        self.heard: list[bytes] = []
        self.caller_nonce = b""
        self.nonce = nonce()
        self._sign = sign
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

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
            self.heard.append(message)
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


def with_what_it_heard(impostor: Impostor) -> Say:
    return lambda body: bytes(Signed(body=body, mac=Signed.FromString(impostor.heard[-1]).mac).SerializeToString())


def as_an_echo(impostor: Impostor) -> Say:
    return lambda _: impostor.heard[-1]


@pytest.mark.parametrize("sign", [unsigned, bare, with_another_secret, with_what_it_heard, as_an_echo])
async def test_an_impostor_at_a_dead_workers_address_is_not_believed(
    sign: Callable[[Impostor], Say], serve: Serve, rows: Rows, owner: Owner
) -> None:
    turn_id = await running(rows)
    refused_before = telemetry.CALLS_REFUSED._value.get()
    async with Impostor(sign) as impostor:
        await rows.connection.execute(
            "UPDATE partitions SET owner = $1, address = $2", impostor.worker_id, impostor.address
        )
        gateway = await serve()
        async with gateway.read(path_of(turn_id)) as reader:
            await until(lambda: telemetry.CALLS_REFUSED._value.get() > refused_before)
            await add_event(rows, turn_id, 2, "step.started", "true")
            await reader.until(2)

            assert [(told.type, told.seq) for told in reader.told] == [("turn.started", 1), ("step.started", 2)]
    assert impostor.heard


async def test_a_recorded_answer_is_not_believed_on_another_stream(
    gateway: Gateway, owner: Owner, rows: Rows, serve: Serve
) -> None:
    """Who recorded what a worker said says it again, with the same numbers, when it has that worker's address."""
    turn_id = await running(rows)
    async with Relay(owner.address) as relay:
        await rows.connection.execute("UPDATE partitions SET address = $1", relay.address)
        first = await serve()
        async with first.read(path_of(turn_id)) as reader:
            asked = await owner.until_asked()
            asked.say(event=event(turn_id, 2, "step.started", "recorded"))
            await reader.until(2)
        (recorded,) = relay.calls
        said = iter(recorded.responses)
        relay.responses = lambda messages: [next(said, messages.pop())] if messages else []
        refused_before = telemetry.CALLS_REFUSED._value.get()
        second = await serve()

        async with second.read(path_of(turn_id)) as reader:
            await until(lambda: telemetry.CALLS_REFUSED._value.get() > refused_before)
            await asyncio.sleep(0.1)

            assert reader.seqs == [1]
