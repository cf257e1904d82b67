"""Pokes over real gRPC: signed, at once, together, and never in the way."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest

from argosy.clock import SystemClock
from argosy.rpc import worker_pb2, worker_pb2_grpc
from argosy.rpc.peer import path_of
from argosy.rpc.poke import POKE, Hint, Poker
from argosy.rpc.server import RpcServer
from argosy.rpc.signed_call import Callee
from argosy.rpc.verify_calls import VerifyCalls
from tests.harness.failed_pokes import FailedPokes
from tests.harness.silent import SILENT

KEY = b"k" * 32
METHOD = path_of(POKE)


class Worker(worker_pb2_grpc.WorkerServicer):  # type: ignore[misc]
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.news = asyncio.Event()
        self.delay_s = 0.0
        self.streams = 0
        self.is_impatient = False

    async def Poke(self, requests: Any, context: Any) -> None:  # noqa: N802
        self.streams += 1
        async for request in requests:
            self.heard.append(request)
            self.news.set()
            await asyncio.sleep(self.delay_s)
            await context.write(worker_pb2.PokeResponse())
            if self.is_impatient:
                return

    async def until(self, inbox_buckets: set[int]) -> None:
        async with asyncio.timeout(5):
            while not inbox_buckets <= {bucket for request in self.heard for bucket in request.inbox_buckets}:
                self.news.clear()
                await self.news.wait()


class Served(NamedTuple):
    """As RpcServer takes it."""

    servicer: Worker

    def add_to(self, server: Any) -> None:
        worker_pb2_grpc.add_WorkerServicer_to_server(self.servicer, server)


@pytest.fixture
async def worker() -> AsyncIterator[tuple[Worker, Callee]]:
    servicer, worker_id = Worker(), uuid.uuid4()
    server = grpc.aio.server(interceptors=[VerifyCalls(KEY, worker_id, SILENT)])
    worker_pb2_grpc.add_WorkerServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, Callee(worker_id, f"127.0.0.1:{port}")
    await server.stop(None)


async def test_a_poke_arrives(worker: tuple[Worker, Callee]) -> None:
    servicer, callee = worker
    poker = Poker(KEY, "default", SystemClock())

    poker.poke(callee, inbox_buckets=[7], log_partitions=[1, 2])
    await servicer.until({7})

    (request,) = servicer.heard
    assert (request.lane, list(request.inbox_buckets), list(request.log_partitions)) == ("default", [7], [1, 2])
    await poker.close()


async def test_pokes_of_a_moment_go_together(worker: tuple[Worker, Callee]) -> None:
    servicer, callee = worker
    servicer.delay_s = 0.05
    poker = Poker(KEY, "default", SystemClock())

    for bucket in range(500):
        poker.poke(callee, inbox_buckets=[bucket])
        await asyncio.sleep(0)
    await servicer.until(set(range(500)))

    assert len(servicer.heard) <= 20
    await poker.close()


async def test_pokes_share_a_stream(worker: tuple[Worker, Callee]) -> None:
    servicer, callee = worker
    poker = Poker(KEY, "default", SystemClock())

    for bucket in range(5):
        poker.poke(callee, inbox_buckets=[bucket])
        await servicer.until({bucket})

    assert servicer.streams == 1
    await poker.close()


async def test_a_stream_that_its_worker_has_ended_loses_no_poke(worker: tuple[Worker, Callee]) -> None:
    servicer, callee = worker
    servicer.is_impatient = True
    failed = FailedPokes()
    poker = Poker(KEY, "default", SystemClock(), failed)

    for bucket in range(5):
        poker.poke(callee, inbox_buckets=[bucket])
        await servicer.until({bucket})

    assert servicer.streams == 5
    assert failed.empty()
    await poker.close()


async def test_a_poke_that_does_not_arrive_is_told() -> None:
    failed = FailedPokes()
    poker = Poker(KEY, "default", SystemClock(), failed)

    nobody = Callee(uuid.uuid4(), "127.0.0.1:1")
    poker.poke(nobody, inbox_buckets=[3])

    async with asyncio.timeout(5):
        assert await failed.get() == (nobody, Hint(inbox_buckets=frozenset((3,))))
    await poker.close()


async def test_a_poke_with_another_secret_is_not_heard(worker: tuple[Worker, Callee]) -> None:
    servicer, callee = worker
    failed = FailedPokes()
    poker = Poker(b"x" * 32, "default", SystemClock(), failed)

    poker.poke(callee, inbox_buckets=[3])

    async with asyncio.timeout(5):
        await failed.get()
    assert servicer.heard == []
    await poker.close()


async def test_an_unsigned_call_is_unauthenticated(worker: tuple[Worker, Callee]) -> None:
    servicer, callee = worker

    async with grpc.aio.insecure_channel(callee.address) as channel:
        code = await channel.stream_stream(METHOD)(iter([b""]), timeout=5).code()

    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert servicer.heard == []


async def test_a_channel_that_nobody_uses_is_closed(
    worker: tuple[Worker, Callee], monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer, callee = worker
    monkeypatch.setattr("argosy.rpc.poke.IDLE_S", 0.05)
    poker = Poker(KEY, "default", SystemClock())
    poker.poke(callee, inbox_buckets=[1])
    await servicer.until({1})

    async with asyncio.timeout(5):
        await asyncio.wait([each.task for each in poker._pending.values() if each.task])
    poker.poke(callee, inbox_buckets=[2])
    await servicer.until({1, 2})

    await poker.close()


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"])
async def test_proxies_of_the_environment_are_left_alone(
    worker: tuple[Worker, Callee], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    servicer, callee = worker
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    poker = Poker(KEY, "default", SystemClock())

    poker.poke(callee, inbox_buckets=[1])

    await servicer.until({1})
    await poker.close()


async def test_a_worker_is_poked_by_ipv6() -> None:
    servicer, worker_id = Worker(), uuid.uuid4()
    server = RpcServer(key=KEY, worker_id=worker_id, host="::1", port=0, silent=SILENT)
    await server.start(Served(servicer))
    poker = Poker(KEY, "default", SystemClock())

    poker.poke(Callee(worker_id, server.address), inbox_buckets=[1])

    await servicer.until({1})
    assert server.address.startswith("[::1]:")
    await poker.close()
    await server.stop()
