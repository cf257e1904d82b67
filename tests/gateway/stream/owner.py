"""A worker's side of streams that does what a test says: signed, over real gRPC, with a bound of its own on credit."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc.aio

from argosy.rpc import watch_pb2_grpc
from argosy.rpc.verify_calls import VerifyCalls
from argosy.rpc.watch_pb2 import (
    At,
    ChannelReset,
    Event,
    Frame,
    Gap,
    Item,
    Look,
    Moved,
    Refused,
    Subscribed,
    WatchResponse,
)  # fmt: skip
from argosy.secret import keys_of
from tests.gateway.stream.until import until
from tests.harness.silent import SILENT


class Asked:
    """One subscription, as it was asked for."""

    def __init__(self, request: Any, outgoing: "asyncio.Queue[Any]") -> None:
        self.request = request
        self.id = request.subscription
        self.outgoing = outgoing
        self.credit_bytes = request.credit_bytes
        self.is_over = False

    def say(self, **what: Any) -> None:
        """An item."""
        item = Item(subscription=self.id, **what)
        self.credit_bytes -= item.ByteSize()
        self.outgoing.put_nowait([item])


class Calls(VerifyCalls):
    """Counts those that begin."""

    count = 0

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.count += 1
        return await super().intercept_service(continuation, handler_call_details)


class Owner(watch_pb2_grpc.WatchServicer):  # type: ignore[misc]
    """asked: every subscription so far. is_silent: it says nothing at all, as if stopped. refuses: NOT_OWNER to all.
    streams: those that go on.
    """

    def __init__(self, secret: bytes) -> None:
        self.worker_id = uuid.uuid4()
        self.epoch = 1
        self.asked: list[Asked] = []
        self.is_silent = False
        self.refuses = False
        self.answers = True
        self.streams = 0
        self._calls = Calls(keys_of(secret).calls, self.worker_id, SILENT)
        self._server = grpc.aio.server(interceptors=[self._calls])
        watch_pb2_grpc.add_WatchServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"

    @property
    def calls(self) -> int:
        """Those that began so far, whatever became of them."""
        return self._calls.count

    async def __aenter__(self) -> "Owner":
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    async def stop(self) -> None:
        """As by kill -9: the connections break."""
        await self._server.stop(0)

    async def own(self, connection: asyncpg.Connection, lineage: int = 1) -> None:
        """Claim every partition, under a lineage."""
        self.epoch = await connection.fetchval(
            "INSERT INTO partitions (lane, partition, epoch, owner, address)"
            " SELECT 'default', g, ($3::bigint << 32) | 1, $1, $2 FROM generate_series(0, 63) AS g"
            " ON CONFLICT (lane, partition) DO UPDATE SET owner = $1, address = $2,"
            " epoch = (greatest(partitions.epoch >> 32, $3::bigint) << 32) | ((partitions.epoch & 4294967295) + 1)"
            " RETURNING epoch",
            self.worker_id, self.address, lineage,
        )  # fmt: skip

    async def Watch(self, messages: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self.streams += 1
        listening = asyncio.create_task(self._listen(messages, outgoing))
        try:
            await context.write(WatchResponse())
            while True:
                try:
                    async with asyncio.timeout(0.5):
                        items = await outgoing.get()
                except TimeoutError:
                    items = []
                await until(lambda: not self.is_silent, within_s=60)
                await context.write(WatchResponse(items=items))
        finally:
            self.streams -= 1
            listening.cancel()

    async def _listen(self, messages: AsyncIterator[Any], outgoing: "asyncio.Queue[Any]") -> None:
        mine: dict[int, Asked] = {}
        async for request in messages:
            for subscribe in request.subscribe:
                asked = mine[subscribe.subscription] = Asked(subscribe, outgoing)
                self.asked.append(asked)
                if self.refuses:
                    asked.say(refused=Refused(reason=Refused.NOT_OWNER))
                elif self.answers:
                    asked.say(subscribed=Subscribed(epoch=self.epoch))
            for credit in request.credit:
                mine[credit.subscription].credit_bytes += credit.bytes
            for number in request.unsubscribe:
                mine[number].is_over = True

    async def until_asked(self, count: int = 1, within_s: float = 20.0) -> Asked:
        """The count-th subscription."""
        await until(lambda: len(self.asked) >= count, within_s)
        return self.asked[count - 1]


def event(turn_id: uuid.UUID, seq: int, type_: str, key: str = "", data: bytes = b"{}", **more: Any) -> Any:
    """A durable event, as a flush told it."""
    return Event(
        turn_id=turn_id.bytes, seq=seq, type=type_, key=key, data=data, at_us=time.time_ns() // 1000,
        **{"lineage": 1, "attempt": 1, **more},
    )  # fmt: skip


def frame(turn_id: uuid.UUID, seq: int, n: int, offset: int, text: str, **more: Any) -> Any:
    return Frame(
        turn_id=turn_id.bytes, seq=seq, n=n, offset=offset, text=text.encode(), at_us=time.time_ns() // 1000,
        **{"lineage": 1, "attempt": 1, "step": "write", "tries": 1, "channel": "answer", **more},
    )  # fmt: skip


def reset(turn_id: uuid.UUID, seq: int, n: int, **more: Any) -> Any:
    given = {"lineage": 1, "attempt": 1, "step": "write", "tries": 1, "channel": "answer", **more}
    return ChannelReset(turn_id=turn_id.bytes, seq=seq, n=n, **given)


def gap(turn_id: uuid.UUID, seq: int, n: int, **more: Any) -> Any:
    given = {"lineage": 1, "attempt": 1, "step": "write", "tries": 1, "channel": "answer", **more}
    return Gap(turn_id=turn_id.bytes, seq=seq, n=n, **given)


def look(turn_id: uuid.UUID) -> Any:
    return Look(turn_id=turn_id.bytes)


def moved(turn_id: uuid.UUID, *, still_streams: bool = False) -> Any:
    return Moved(turn_id=turn_id.bytes, still_streams=still_streams)


def at(turn_id: uuid.UUID, owner: Owner) -> Any:
    return At(turn_id=turn_id.bytes, worker_id=owner.worker_id.bytes, address=owner.address)
