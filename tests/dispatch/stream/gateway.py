"""A gateway process as a worker sees it: one signed stream of the Watch service, and what came on it."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc.aio

from argosy.rpc.peer import Peer, path_of
from argosy.rpc.signed_call import Callee, CallError, SignedCall
from argosy.rpc.signing import SignatureError
from argosy.rpc.watch_pb2 import DESCRIPTOR, Credit, Subscribe, WatchRequest

WATCH = DESCRIPTOR.services_by_name["Watch"].methods_by_name["Watch"]
METHOD = path_of(WATCH)
KEY = b"a key of the tests"
TENANT = "default"
CREDIT_BYTES = 1 << 24


class Gateway:
    """Opens a stream to a worker; `items` are those that came, in order. is_reading: whether it takes what comes.

    is_generous: what came is given back as credit at once. error: what ended the stream.
    """

    def __init__(self, address: str, worker_id: uuid.UUID, key: bytes = KEY) -> None:
        self.items: list[Any] = []
        self.received: list[tuple[float, Any]] = []
        self.is_generous = True
        self.error: CallError | SignatureError | None = None
        self._next = 0
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._peer = Peer(Callee(worker_id, address), key, [("grpc.max_receive_message_length", 1 << 24)])
        self._call: SignedCall | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Gateway":
        self.read()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._call is not None:
            self._call.cancel()
        await self._peer.close()

    def read(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            call = await self.call()
            while (message := await call.read()) is not None:
                self.received.append((time.monotonic(), message))
                self.items += message.items
                self._news.set()
                if self.is_generous and message.items:
                    credit = [Credit(subscription=each.subscription, bytes=each.ByteSize()) for each in message.items]
                    await self.send(credit=credit)
        except (CallError, SignatureError) as error:
            self.error = error
            self._news.set()

    async def call(self) -> SignedCall:
        """The stream, opened when it is used first."""
        async with self._writing:
            if self._call is None:
                self._call = await self._peer.open(WATCH)
            return self._call

    async def send(self, **fields: Any) -> None:
        call = await self.call()
        async with self._writing:  # gRPC takes one message at a time
            await call.write(WatchRequest(**fields))

    def request(self, credit_bytes: int = CREDIT_BYTES, **fields: Any) -> Subscribe:
        """turn_id and session_id as UUIDs; the number of the subscription is the next one."""
        self._next += 1
        fields.setdefault("tenant", TENANT)
        values: dict[str, Any] = {
            name: each.bytes if isinstance(each, uuid.UUID) else each for name, each in fields.items()
        }
        return Subscribe(subscription=self._next, credit_bytes=credit_bytes, **values)

    async def subscribe(self, credit_bytes: int = CREDIT_BYTES, **fields: Any) -> int:
        """Returns when it is answered; the number of the subscription."""
        request = self.request(credit_bytes, **fields)
        await self.send(subscribe=[request])
        await self.until(lambda: bool(self.of(request.subscription)))
        return request.subscription

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
        cause = self.error.__cause__
        return cause.code() if isinstance(cause, grpc.aio.AioRpcError) else grpc.StatusCode.UNAVAILABLE
