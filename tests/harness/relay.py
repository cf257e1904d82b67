"""A man in the middle of gRPC calls: hears everything, and leaves out, repeats or changes what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

Change = Callable[[list[bytes]], list[bytes]]


def as_it_is(messages: list[bytes]) -> list[bytes]:
    """messages: those that came and were not sent on yet; what is to be sent now."""
    sent = messages[:]
    messages.clear()
    return sent


def nth_changed(n: int, change: Callable[[bytes], list[bytes]]) -> Change:
    """Change the nth message of a direction."""
    count = 0

    def apply(messages: list[bytes]) -> list[bytes]:
        nonlocal count
        sent: list[bytes] = []
        for each in messages:
            count += 1
            sent += change(each) if count == n else [each]
        messages.clear()
        return sent

    return apply


class Recorded:
    """One call: how it began, and what both sides said."""

    def __init__(self, method: str, metadata: Sequence[tuple[str, Any]]) -> None:
        self.method = method
        self.metadata = metadata
        self.requests: list[bytes] = []
        self.responses: list[bytes] = []


class Relay(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Serves at `address` and calls `target`. greeting: of what a callee says first, as the caller gets it. calls: as
    they were recorded.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.requests: Change = as_it_is
        self.responses: Change = as_it_is
        self.greeting: Callable[[dict[str, Any]], dict[str, Any]] = dict
        self.calls: list[Recorded] = []
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    async def __aenter__(self) -> "Relay":
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    def service(self, handler_call_details: Any) -> Any:
        """As GenericRpcHandler."""
        metadata = [each for each in handler_call_details.invocation_metadata if each[0].startswith("argosy-")]
        recorded = Recorded(handler_call_details.method, metadata)

        async def relay(requests: AsyncIterator[bytes], context: Any) -> None:
            self.calls.append(recorded)
            async with grpc.aio.insecure_channel(self.target) as channel:
                call = channel.stream_stream(recorded.method)(metadata=metadata)
                try:
                    await self._between(call, requests, context, recorded)
                finally:
                    call.cancel()  # a channel that is closed in the middle of a write leaves it open

        return grpc.stream_stream_rpc_method_handler(relay)

    async def _between(self, call: Any, requests: AsyncIterator[bytes], context: Any, recorded: Recorded) -> None:
        greeting = self.greeting(dict(await call.initial_metadata()))
        await context.send_initial_metadata(tuple(greeting.items()))
        sending = asyncio.create_task(self._send(call, requests, recorded))
        try:
            await _pump(call, context.write, recorded.responses, self.responses)
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details())
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, call: Any, requests: AsyncIterator[bytes], recorded: Recorded) -> None:
        await _pump(requests, call.write, recorded.requests, self.requests)
        await call.done_writing()


async def _pump(source: AsyncIterator[bytes], write: Any, recorded: list[bytes], change: Change) -> None:
    waiting: list[bytes] = []
    async for message in source:
        recorded.append(message)
        waiting.append(message)
        for each in change(waiting):
            await write(each)


async def call_raw(
    address: str, method: str, messages: Sequence[bytes], metadata: Sequence[tuple[str, Any]]
) -> tuple[grpc.StatusCode, list[bytes]]:
    """How a call ends that begins with this metadata and says these messages, and what was answered.

    A write to a call that has just been refused would end it here with a code of gRPC's own, so each waits for a word
    of the other side: first for its greeting, then for an answer.
    """
    answers: list[bytes] = []
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(5):
        call = channel.stream_stream(method)(metadata=metadata)
        try:
            await call.initial_metadata()
            for message in messages:
                if call.done():
                    break
                await call.write(message)
                if (answer := await call.read()) is grpc.aio.EOF:
                    break
                answers.append(answer)
        except grpc.aio.AioRpcError as error:
            return error.code(), answers
        return await call.code(), answers
