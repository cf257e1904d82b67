"""The gRPC side of watching: a stream per gateway process, what it asks and what it is told.

A stream that says nothing signed at first, one too many, and one whose gateway takes nothing for a long time are ended;
the gateway opens another one, or finds the owner anew. Who speaks is said at once, and each second from then on.
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
from workers.dispatch.watch.hub import Hub, Wanted
from workers.dispatch.watch.line import Line

HEARTBEAT_S: Final = 1.0
_FIRST_WITHIN_S: Final = 5.0
_TAKEN_WITHIN_S: Final = 30.0
_LAST_WORDS_S: Final = 0.5
_ENDS: Final = "the worker ends"


class WatchService(watch_pb2_grpc.WatchServicer):  # type: ignore[misc]
    """size_bytes_max: what may wait for one gateway process."""

    def __init__(self, hub: Hub, worker_id: uuid.UUID, *, streams_max: int, size_bytes_max: int) -> None:
        self._hub = hub
        self._worker_id = worker_id.bytes
        self._streams_max = streams_max
        self._size_bytes_max = size_bytes_max
        self._streams = 0
        self._closing = asyncio.Event()

    def add_to(self, server: Any) -> None:
        watch_pb2_grpc.add_WatchServicer_to_server(self, server)

    def close(self) -> None:
        """End every stream, once what waits for it is sent."""
        self._closing.set()

    async def Watch(self, messages: AsyncIterator[Any], context: Any) -> None:  # noqa: N802 — the name in the contract
        if self._closing.is_set():
            await context.abort(grpc.StatusCode.UNAVAILABLE, _ENDS)
        if self._streams >= self._streams_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._streams} streams are open")
        line = Line(self._size_bytes_max)
        self._streams += 1
        telemetry.WATCH_STREAMS.set(self._streams)
        tasks = [
            asyncio.create_task(work)
            for work in (self._listen(messages, line), self._speak(line, context), self._until_closed(line))
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except TimeoutError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            self._streams -= 1
            telemetry.WATCH_STREAMS.set(self._streams)
            self._hub.close(line)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, messages: AsyncIterator[Any], line: Line) -> None:
        """Until the gateway ends the stream. Raises TimeoutError when it never begins."""
        source = aiter(messages)
        with contextlib.suppress(StopAsyncIteration):
            try:
                async with asyncio.timeout(_FIRST_WITHIN_S):
                    message = await anext(source)
            except TimeoutError:
                raise TimeoutError(f"nothing signed came within {_FIRST_WITHIN_S:g} s") from None
            while True:
                self._heard(watch_pb2.WatchRequest.FromString(message.body), line)
                await line.until_room()
                message = await anext(source)

    def _heard(self, request: Any, line: Line) -> None:
        for number in request.unsubscribe:
            if (each := line.subscriptions.get(number)) is not None:
                self._hub.unsubscribe(each)
        for wish in request.subscribe:
            self._hub.subscribe(line, _wanted(wish))
        for credit in request.credit:
            if (each := line.subscriptions.get(credit.subscription)) is not None:
                self._hub.give_credit(each, credit.bytes)

    async def _until_closed(self, line: Line) -> None:
        """Raises TimeoutError when the worker ends."""
        await self._closing.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await line.until_empty()
        raise TimeoutError(_ENDS)

    async def _speak(self, line: Line, context: Any) -> None:
        """Until cancelled. Raises TimeoutError when the gateway takes nothing any more."""
        message = watch_pb2.WatchResponse(worker_id=self._worker_id)
        while True:
            try:
                async with asyncio.timeout(_TAKEN_WITHIN_S):
                    await context.write(message)
            except TimeoutError:
                raise TimeoutError(f"nothing was taken within {_TAKEN_WITHIN_S:g} s") from None
            await line.has_news(HEARTBEAT_S)
            was_full = line.is_full
            message = watch_pb2.WatchResponse(worker_id=self._worker_id, items=line.take())
            if was_full and not line.is_full:
                self._hub.drained(line)


def _wanted(wish: Any) -> Wanted:
    is_session = bool(wish.session_id)
    target = None if is_session == bool(wish.turn_id) else _id(wish.session_id or wish.turn_id)
    return Wanted(
        id=wish.subscription,
        target=target,
        is_session=is_session,
        worker_id=_id(wish.worker_id),
        epoch=wish.epoch,
        resume=(wish.attempt, wish.n),
        is_ending_only=wish.ending_only,
        frames_only=wish.frames_only,
        credit_bytes=wish.credit_bytes,
    )


def _id(value: bytes) -> uuid.UUID | None:
    return uuid.UUID(bytes=value) if len(value) == 16 else None
