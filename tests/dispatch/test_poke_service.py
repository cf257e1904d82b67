"""The worker's side of pokes: who is heard, and who is not."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from argosy import signing
from argosy.clock import SystemClock
from argosy.poke import METHOD, Hint, Poker
from argosy.workers.dispatch.poke import PokeService
from argosy.workers.dispatch.rpc_server import RpcServer

SECRET = b"s" * 32


class Worker:
    """As much of a worker as hears pokes."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()
        put = self.heard.put_nowait
        self.service = PokeService(
            lambda: put("inbox"), lambda ids: put(list(ids)), lambda: put("log"), lambda p: put(list(p)), streams_max=2
        )
        self.server = RpcServer(secret=SECRET, skew_s=60, clock=SystemClock(), host="127.0.0.1", port=0)

    async def next(self) -> object:
        async with asyncio.timeout(5):
            return await self.heard.get()


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    await worker.server.start(worker.service)
    yield worker
    worker.service.close()
    await worker.server.stop()


@pytest.fixture
async def pokers() -> AsyncIterator[list[Poker]]:
    pokers = [Poker(SECRET, "default", SystemClock()) for _ in range(3)]
    yield pokers
    for each in pokers:
        await each.close()


async def test_everything_that_a_poke_names_is_told(worker: Worker, pokers: list[Poker]) -> None:
    turn_id = uuid.uuid4()

    pokers[0].poke(worker.server.address, [1], [2], [3], [turn_id.bytes, b"no id"])

    assert [await worker.next() for _ in range(4)] == [[turn_id], "inbox", "log", [3]]


async def test_a_poke_that_is_not_urgent_goes_with_the_next_that_is(worker: Worker, pokers: list[Poker]) -> None:
    pokers[0].poke(worker.server.address, inbox_buckets=[1], is_urgent=False)
    pokers[0].poke(worker.server.address, claimed_partitions=[3])

    assert [await worker.next() for _ in range(2)] == ["inbox", [3]]


async def test_a_poke_that_is_not_urgent_goes_soon(worker: Worker, pokers: list[Poker]) -> None:
    pokers[0].poke(worker.server.address, inbox_buckets=[1], is_urgent=False)

    assert await worker.next() == "inbox"


async def test_a_process_too_many_is_told_so(worker: Worker) -> None:
    failed: asyncio.Queue[tuple[str, Hint]] = asyncio.Queue()
    first, second = (Poker(SECRET, "default", SystemClock()) for _ in range(2))
    third = Poker(SECRET, "default", SystemClock(), lambda address, hint: failed.put_nowait((address, hint)))
    for each in (first, second):
        each.poke(worker.server.address, inbox_buckets=[1])
        await worker.next()

    third.poke(worker.server.address, inbox_buckets=[7])

    async with asyncio.timeout(5):
        assert (await failed.get())[1].inbox_buckets == {7}
    for each in (first, second, third):
        await each.close()


async def test_who_says_nothing_that_is_signed_takes_no_room(
    worker: Worker, pokers: list[Poker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "UNSIGNED_MAX", 4)
    async with grpc.aio.insecure_channel(worker.server.address) as channel:
        silent = [channel.stream_stream(METHOD)() for _ in range(20)]
        for each in silent:
            await each.initial_metadata() if each.done() else None
        pokers[0].poke(worker.server.address, inbox_buckets=[1])

        assert await worker.next() == "inbox"
        async with asyncio.timeout(5):
            assert await silent[0].code() is grpc.StatusCode.UNAUTHENTICATED
        for each in silent:
            each.cancel()


async def test_bytes_that_are_no_message_are_unauthenticated(worker: Worker) -> None:
    async with grpc.aio.insecure_channel(worker.server.address) as channel:
        call = channel.stream_stream(METHOD)(timeout=5)
        await call.write(b"\xff\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_worker_that_ends_takes_no_new_stream_and_ends_at_once(worker: Worker, pokers: list[Poker]) -> None:
    pokers[0].poke(worker.server.address, inbox_buckets=[1])
    await worker.next()
    worker.service.close()
    failed = asyncio.Event()
    late = Poker(SECRET, "default", SystemClock(), lambda *_: failed.set())

    late.poke(worker.server.address, inbox_buckets=[2])

    async with asyncio.timeout(5):
        await failed.wait()
    assert worker.heard.empty()
    await late.close()
