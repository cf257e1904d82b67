"""The gRPC service for live events: one stream per gateway process, with its requests and what it is sent.

The worker refuses a stream beyond its bound, and ends a stream whose gateway takes nothing for 30 s; the gateway opens
another one, or looks up the owner again. The worker says that it lives when the gateway has sent its first message, and
each second from then on.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio

from argosy import telemetry
from argosy.rpc import watch_pb2, watch_pb2_grpc
from argosy.workers.dispatch.stream.connection import GatewayConnection
from argosy.workers.dispatch.stream.hub import Hub, SubscribeRequest

HEARTBEAT_S: Final = 1.0  # a gateway gives up a worker that is silent for 2.5 s (SILENT_S)
_TAKEN_WITHIN_S: Final = 30.0  # a gateway that lives takes a message in less
_FLUSH_S: Final = 0.5  # the worker ends; what is left is in Postgres
_ENDS: Final = "the worker ends"
_FIRST_COMPLETED: Final = asyncio.FIRST_COMPLETED


class WatchService(watch_pb2_grpc.WatchServicer):  # type: ignore[misc]
    """All streams. streams_max: how many may be open; size_bytes_max: how much may wait for one gateway process."""

    def __init__(self, hub: Hub, *, streams_max: int, size_bytes_max: int) -> None:
        self._hub = hub
        self._streams_max = streams_max
        self._size_bytes_max = size_bytes_max
        self._streams = 0
        self._closing = asyncio.Event()

    def add_to(self, server: Any) -> None:
        watch_pb2_grpc.add_WatchServicer_to_server(self, server)

    def close(self) -> None:
        """End every stream, once what waits for it is sent, or after half a second."""
        self._closing.set()

    async def Watch(self, messages: AsyncIterator[Any], context: Any) -> None:  # noqa: N802 — the name in the contract
        if self._closing.is_set():
            await context.abort(grpc.StatusCode.UNAVAILABLE, _ENDS)
        if self._streams >= self._streams_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._streams} streams are open")
        self._count(1)
        call = WatchCall(self._hub, GatewayConnection(self._size_bytes_max), context)
        try:
            ended = await call.serve(messages, self._closing)
        except asyncio.CancelledError:
            if not context.cancelled():
                raise
            return  # the gateway is gone: an ordinary end of a stream, and no error
        finally:
            self._count(-1)
        if ended:
            await context.abort(grpc.StatusCode.UNAVAILABLE, ended)

    def _count(self, more: int) -> None:
        self._streams += more
        telemetry.WATCH_STREAMS.set(self._streams)


class WatchCall:
    """The stream of one gateway process, from its first message to its last."""

    def __init__(self, hub: Hub, connection: GatewayConnection, context: Any) -> None:
        self._hub = hub
        self._connection = connection
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._is_over = False
        self._writing_since_s: float | None = None

    async def serve(self, messages: AsyncIterator[Any], closing: asyncio.Event) -> str:
        """Serve until the stream ends. Return why this worker ended it; "" when the gateway did.

        Raises SignatureError.
        """
        writing = asyncio.create_task(self._write())
        others = [asyncio.create_task(self._read(messages)), asyncio.create_task(self._until_closed(closing))]
        try:
            done: set[asyncio.Task[str]] = set()
            while not done:
                done, _ = await asyncio.wait((writing, *others), timeout=HEARTBEAT_S, return_when=_FIRST_COMPLETED)
                if self._is_stuck:
                    return f"the gateway took nothing within {_TAKEN_WITHIN_S:g} s"
            return next((reason for task in done if (reason := task.result())), "")
        finally:
            self._is_over = True
            self._hub.close(self._connection)
            self._connection.wake()
            for task in others:
                task.cancel()
            # Wait for the message that is being written: it cannot be taken back, and no status can be sent meanwhile.
            await asyncio.gather(writing, *others, return_exceptions=True)

    @property
    def _is_stuck(self) -> bool:
        since_s = self._writing_since_s
        return since_s is not None and self._loop.time() - since_s > _TAKEN_WITHIN_S

    async def _read(self, messages: AsyncIterator[Any]) -> str:
        """Handle the gateway's requests until it ends the stream."""
        async for message in messages:
            self._handle(message)
            await self._connection.until_room()
        return ""

    def _handle(self, request: Any) -> None:
        connection = self._connection
        for number in request.unsubscribe:
            if (each := connection.subscribers.get(number)) is not None:
                self._hub.unsubscribe(each)
        for asked in request.subscribe:
            self._hub.subscribe(connection, _subscribe_request(asked))
        for credit in request.credit:
            if (each := connection.subscribers.get(credit.subscription)) is not None:
                self._hub.give_credit(each, credit.bytes)

    async def _until_closed(self, closing: asyncio.Event) -> str:
        await closing.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await self._connection.until_empty()
        return _ENDS

    async def _write(self) -> str:
        """Write items until the stream is over. Raises what writing raises when the gateway is gone."""
        connection = self._connection
        message = watch_pb2.WatchResponse()
        while True:
            self._writing_since_s = self._loop.time()
            await self._context.write(message)
            self._writing_since_s = None
            if not self._is_over:
                await connection.has_news(HEARTBEAT_S)
            if self._is_over:
                return ""
            was_full = connection.is_full
            message = watch_pb2.WatchResponse(items=connection.take())
            if was_full and not connection.is_full:
                self._hub.drained(connection)


def _subscribe_request(message: Any) -> SubscribeRequest:
    is_session = bool(message.session_id)
    target = None if is_session == bool(message.turn_id) else _id(message.session_id or message.turn_id)
    return SubscribeRequest(
        id=message.subscription,
        target=target,
        is_session=is_session,
        tenant=message.tenant,
        epoch=message.epoch,
        resume=(message.attempt, message.n),
        is_ending_only=message.ending_only,
        frames_only=message.frames_only,
        credit_bytes=message.credit_bytes,
    )


def _id(value: bytes) -> uuid.UUID | None:
    return uuid.UUID(bytes=value) if len(value) == 16 else None
