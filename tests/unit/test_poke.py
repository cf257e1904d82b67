"""Pokes over real gRPC: signed, at once, together, and never in the way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy.clock import SystemClock
from argosy.poke import METHOD, Hint, Poker
from argosy.rpc import worker_pb2, worker_pb2_grpc
from argosy.signing import VerifyCalls

SECRET = b"s" * 32


class Worker(worker_pb2_grpc.WorkerServicer):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.news = asyncio.Event()
        self.delay_s = 0.0

    async def Poke(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.heard.append(request)
        self.news.set()
        await asyncio.sleep(self.delay_s)
        return worker_pb2.PokeResponse()

    async def until(self, inbox_buckets: set[int]) -> None:
        async with asyncio.timeout(5):
            while {bucket for request in self.heard for bucket in request.inbox_buckets} < inbox_buckets:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def worker() -> AsyncIterator[tuple[Worker, str]]:
    servicer = Worker()
    server = grpc.aio.server(interceptors=[VerifyCalls(SECRET, 60, SystemClock())])
    worker_pb2_grpc.add_WorkerServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


async def test_a_poke_arrives(worker: tuple[Worker, str]) -> None:
    servicer, address = worker
    poker = Poker(SECRET, "default", SystemClock())

    poker.poke(address, inbox_buckets=[7], log_partitions=[1, 2])
    await servicer.until({7})

    (request,) = servicer.heard
    assert (request.lane, list(request.inbox_buckets), list(request.log_partitions)) == ("default", [7], [1, 2])
    await poker.close()


async def test_pokes_of_a_moment_go_together(worker: tuple[Worker, str]) -> None:
    servicer, address = worker
    servicer.delay_s = 0.05
    poker = Poker(SECRET, "default", SystemClock())

    for bucket in range(500):
        poker.poke(address, inbox_buckets=[bucket])
        await asyncio.sleep(0)
    await servicer.until(set(range(500)))

    assert len(servicer.heard) <= 20
    await poker.close()


async def test_a_poke_that_does_not_arrive_is_told() -> None:
    failed: asyncio.Queue[tuple[str, Hint]] = asyncio.Queue()
    poker = Poker(SECRET, "default", SystemClock(), lambda address, hint: failed.put_nowait((address, hint)))

    poker.poke("127.0.0.1:1", inbox_buckets=[3])

    async with asyncio.timeout(5):
        assert await failed.get() == ("127.0.0.1:1", Hint(inbox_buckets=frozenset((3,))))
    await poker.close()


async def test_a_poke_with_another_secret_is_not_heard(worker: tuple[Worker, str]) -> None:
    servicer, address = worker
    failed = asyncio.Event()
    poker = Poker(b"x" * 32, "default", SystemClock(), lambda *_: failed.set())

    poker.poke(address, inbox_buckets=[3])

    async with asyncio.timeout(5):
        await failed.wait()
    assert servicer.heard == []
    await poker.close()


async def test_an_unsigned_call_is_unauthenticated(worker: tuple[Worker, str]) -> None:
    servicer, address = worker

    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(METHOD)(b"", timeout=5)

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert servicer.heard == []


async def test_a_channel_that_nobody_uses_is_closed(
    worker: tuple[Worker, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer, address = worker
    monkeypatch.setattr("argosy.poke.IDLE_S", 0.05)
    poker = Poker(SECRET, "default", SystemClock())
    poker.poke(address, inbox_buckets=[1])
    await servicer.until({1})

    async with asyncio.timeout(5):
        await asyncio.wait([line.task for line in poker._lines.values() if line.task])
    poker.poke(address, inbox_buckets=[2])
    await servicer.until({1, 2})

    await poker.close()
