"""A gateway process as a worker sees it: one signed stream of the Watch service, and what came on it."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc.aio

from argosy.rpc.signed_pb2 import SignedRequest
from argosy.rpc.watch_pb2 import Credit, Subscribe, WatchRequest, WatchResponse
from argosy.signing import sign

METHOD = "/argosy.rpc.Watch/Watch"
SECRET = b"a secret of the tests"
CREDIT_BYTES = 1 << 24


class Gateway:
    """Opens a stream to a worker; `items` are those that came, in order. is_reading: whether it takes what comes.

    is_generous: what came is given back as credit at once.
    """

    def __init__(self, address: str, worker_id: uuid.UUID | None = None, secret: bytes = SECRET) -> None:
        self.worker_id = worker_id
        self.items: list[Any] = []
        self.heard: list[tuple[float, Any]] = []
        self.spoke_as: set[bytes] = set()
        self.is_generous = True
        self.error: grpc.aio.AioRpcError | None = None
        self.clock_ahead_s = 0
        self._secret = secret
        self._next = 0
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.max_receive_message_length", 1 << 24)])
        self._call = self._channel.stream_stream(
            METHOD, request_serializer=SignedRequest.SerializeToString, response_deserializer=WatchResponse.FromString
        )()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Gateway":
        self.read()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._call.cancel()
        await self._channel.close()

    def read(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self.spoke_as.add(message.worker_id)
                self.heard.append((time.monotonic(), message))
                self.items += message.items
                self._news.set()
                if self.is_generous and message.items:
                    credit = [Credit(subscription=each.subscription, bytes=each.ByteSize()) for each in message.items]
                    await self.send(credit=credit)
        except grpc.aio.AioRpcError as error:
            self.error = error
            self._news.set()

    async def send(self, signature: str = "", **fields: Any) -> None:
        body = WatchRequest(**fields).SerializeToString()
        request = sign(self._secret, METHOD, body, int(time.time()) + self.clock_ahead_s)
        request.signature = signature or request.signature
        async with self._writing:  # gRPC takes one message at a time
            await self._call.write(request)

    def wish(self, credit_bytes: int = CREDIT_BYTES, **fields: Any) -> Subscribe:
        """turn_id and session_id as UUIDs; the number of the subscription is the next one."""
        self._next += 1
        if self.worker_id is not None:
            fields.setdefault("worker_id", self.worker_id)
        values = {name: each.bytes if isinstance(each, uuid.UUID) else each for name, each in fields.items()}
        return Subscribe(subscription=self._next, credit_bytes=credit_bytes, **values)

    async def subscribe(self, credit_bytes: int = CREDIT_BYTES, **fields: Any) -> int:
        """Returns when it is answered; the number of the subscription."""
        wish = self.wish(credit_bytes, **fields)
        await self.send(subscribe=[wish])
        await self.until(lambda: bool(self.of(wish.subscription)))
        return wish.subscription

    async def give(self, subscription: int, size_bytes: int) -> None:
        await self.send(credit=[Credit(subscription=subscription, bytes=size_bytes)])

    def of(self, subscription: int, *kinds: str) -> list[Any]:
        """What came for a subscription: all items, or the messages of these kinds."""
        mine = [each for each in self.items if each.subscription == subscription]
        if not kinds:
            return mine
        return [getattr(each, each.WhichOneof("what")) for each in mine if each.WhichOneof("what") in kinds]

    def kinds(self, subscription: int) -> list[str]:
        return [each.WhichOneof("what") for each in self.of(subscription)]

    def text(self, subscription: int, channel: str = "answer") -> str:
        """A channel's text as it was assembled from frames; every frame must go on where the one before ended."""
        text = ""
        for each in self.of(subscription):
            message = getattr(each, each.WhichOneof("what"))
            if each.WhichOneof("what") in ("gap", "channel_reset") and message.channel == channel:
                text = ""
            if each.WhichOneof("what") == "frame" and message.channel == channel:
                assert message.offset == len(text)
                text += message.text.decode()
        return text

    async def until(self, is_so: Callable[[], bool], within_s: float = 15.0) -> None:
        """Returns when what came makes it so. Raises the stream's error when that ended instead."""
        async with asyncio.timeout(within_s):
            while not is_so():
                if self.error is not None:
                    raise self.error
                self._news.clear()
                await self._news.wait()

    async def until_ended(self, within_s: float = 15.0) -> grpc.StatusCode:
        async with asyncio.timeout(within_s):
            while self.error is None:
                self._news.clear()
                await self._news.wait()
        return self.error.code()
