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
from argosy.workers.dispatch.stream.hub import Hub, Wanted
from argosy.workers.dispatch.stream.line import Line

HEARTBEAT_S: Final = 1.0
_TAKEN_WITHIN_S: Final = 30.0
_LAST_WORDS_S: Final = 0.5
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
        stream = Stream(self._hub, Line(self._size_bytes_max), context)
        try:
            ended = await stream.serve(messages, self._closing)
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


class Stream:
    """The stream of one gateway process, from its first message to its last."""

    def __init__(self, hub: Hub, line: Line, context: Any) -> None:
        self._hub = hub
        self._line = line
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._is_over = False
        self._writing_since_s: float | None = None

    async def serve(self, messages: AsyncIterator[Any], closing: asyncio.Event) -> str:
        """Serve until the stream ends. Return why this worker ended it; "" when the gateway did.

        Raises SignatureError.
        """
        speaking = asyncio.create_task(self._speak())
        others = [asyncio.create_task(self._listen(messages)), asyncio.create_task(self._until_closed(closing))]
        try:
            done: set[asyncio.Task[str]] = set()
            while not done:
                done, _ = await asyncio.wait((speaking, *others), timeout=HEARTBEAT_S, return_when=_FIRST_COMPLETED)
                if self._is_stuck:
                    return f"the gateway took nothing within {_TAKEN_WITHIN_S:g} s"
            return next((reason for task in done if (reason := task.result())), "")
        finally:
            self._is_over = True
            self._hub.close(self._line)
            self._line.wake()
            for task in others:
                task.cancel()
            # Wait for the message that is being written: it cannot be taken back, and no status can be sent meanwhile.
            await asyncio.gather(speaking, *others, return_exceptions=True)

    @property
    def _is_stuck(self) -> bool:
        since_s = self._writing_since_s
        return since_s is not None and self._loop.time() - since_s > _TAKEN_WITHIN_S

    async def _listen(self, messages: AsyncIterator[Any]) -> str:
        """Hear the gateway's requests until it ends the stream."""
        async for message in messages:
            self._heard(message)
            await self._line.until_room()
        return ""

    def _heard(self, request: Any) -> None:
        line = self._line
        for number in request.unsubscribe:
            if (each := line.subscriptions.get(number)) is not None:
                self._hub.unsubscribe(each)
        for wish in request.subscribe:
            self._hub.subscribe(line, _wanted(wish))
        for credit in request.credit:
            if (each := line.subscriptions.get(credit.subscription)) is not None:
                self._hub.give_credit(each, credit.bytes)

    async def _until_closed(self, closing: asyncio.Event) -> str:
        await closing.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._line.until_empty()
        return _ENDS

    async def _speak(self) -> str:
        """Write items until the stream is over. Raises what writing raises when the gateway is gone."""
        line = self._line
        message = watch_pb2.WatchResponse()
        while True:
            self._writing_since_s = self._loop.time()
            await self._context.write(message)
            self._writing_since_s = None
            if not self._is_over:
                await line.has_news(HEARTBEAT_S)
            if self._is_over:
                return ""
            was_full = line.is_full
            message = watch_pb2.WatchResponse(items=line.take())
            if was_full and not line.is_full:
                self._hub.drained(line)


def _wanted(wish: Any) -> Wanted:
    is_session = bool(wish.session_id)
    target = None if is_session == bool(wish.turn_id) else _id(wish.session_id or wish.turn_id)
    return Wanted(
        id=wish.subscription,
        target=target,
        is_session=is_session,
        tenant=wish.tenant,
        epoch=wish.epoch,
        resume=(wish.attempt, wish.n),
        is_ending_only=wish.ending_only,
        frames_only=wish.frames_only,
        credit_bytes=wish.credit_bytes,
    )


def _id(value: bytes) -> uuid.UUID | None:
    return uuid.UUID(bytes=value) if len(value) == 16 else None
