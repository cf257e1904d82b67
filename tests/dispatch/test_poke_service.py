"""The worker's side of pokes: who is heard, and who is not."""

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence

import grpc
import grpc.aio
import pytest

from argosy.clock import SystemClock
from argosy.rpc.peer import path_of
from argosy.rpc.poke import POKE, Poker
from argosy.rpc.server import RpcServer
from argosy.rpc.signed_call import Callee
from argosy.rpc.signing import NONCE_HEADER, PROOF_HEADER, nonce, proof
from argosy.rpc.verify_calls import SilentBounds, VerifyCalls
from argosy.workers.dispatch.poke import PokeService
from tests.harness.failed_pokes import FailedPokes
from tests.harness.silent import SILENT

KEY = b"k" * 32
METHOD = path_of(POKE)


def begun(key: bytes = KEY) -> tuple[tuple[str, bytes], ...]:
    """The metadata of a call that begins now."""
    caller_nonce = nonce()
    return ((NONCE_HEADER, caller_nonce), (PROOF_HEADER, proof(key, METHOD, caller_nonce)))


class Heard(asyncio.Queue[object]):
    """In place of the dispatcher: what pokes said, in its order."""

    def after_poke(self, buckets: Sequence[int]) -> None:
        self.put_nowait("inbox")

    def after_signal(self, turns: Sequence[tuple[str, uuid.UUID]]) -> None:
        self.put_nowait(list(turns))

    def after_append(self) -> None:
        self.put_nowait("log")

    def after_rival_claim(self, partitions: Sequence[int]) -> None:
        self.put_nowait(list(partitions))


class Worker:
    """As much of a worker as hears pokes."""

    def __init__(self, silent: SilentBounds) -> None:
        self.heard = Heard()
        self.service = PokeService(self.heard, streams_max=2)
        worker_id = uuid.uuid4()
        self.server = RpcServer(key=KEY, worker_id=worker_id, host="127.0.0.1", port=0, silent=silent)
        self.callee = Callee(worker_id, self.server.address)

    async def next(self) -> object:
        async with asyncio.timeout(5):
            return await self.heard.get()


@pytest.fixture
def silent() -> SilentBounds:
    return SILENT


@pytest.fixture
async def worker(silent: SilentBounds) -> AsyncIterator[Worker]:
    worker = Worker(silent)
    await worker.server.start(worker.service)
    yield worker
    worker.service.close()
    await worker.server.stop()


@pytest.fixture
async def pokers() -> AsyncIterator[list[Poker]]:
    pokers = [Poker(KEY, "default", SystemClock()) for _ in range(3)]
    yield pokers
    for each in pokers:
        await each.close()


async def test_everything_that_a_poke_names_is_told(worker: Worker, pokers: list[Poker]) -> None:
    turn_id = uuid.uuid4()

    pokers[0].poke(worker.callee, [1], [2], [3], [("acme", turn_id)])

    assert [await worker.next() for _ in range(4)] == [[("acme", turn_id)], "inbox", "log", [3]]


async def test_a_poke_that_is_not_urgent_goes_with_the_next_that_is(worker: Worker, pokers: list[Poker]) -> None:
    pokers[0].poke(worker.callee, inbox_buckets=[1], is_urgent=False)
    pokers[0].poke(worker.callee, claimed_partitions=[3])

    assert [await worker.next() for _ in range(2)] == ["inbox", [3]]


async def test_a_poke_that_is_not_urgent_goes_soon(worker: Worker, pokers: list[Poker]) -> None:
    pokers[0].poke(worker.callee, inbox_buckets=[1], is_urgent=False)

    assert await worker.next() == "inbox"


async def test_a_process_too_many_is_told_so(worker: Worker) -> None:
    failed = FailedPokes()
    first, second = (Poker(KEY, "default", SystemClock()) for _ in range(2))
    third = Poker(KEY, "default", SystemClock(), failed)
    for each in (first, second):
        each.poke(worker.callee, inbox_buckets=[1])
        await worker.next()

    third.poke(worker.callee, inbox_buckets=[7])

    async with asyncio.timeout(5):
        assert (await failed.get())[1].inbox_buckets == {7}
    for each in (first, second, third):
        await each.close()


@pytest.mark.parametrize("silent", [SilentBounds(4, 600)])
async def test_who_says_nothing_that_is_signed_takes_no_room(worker: Worker, pokers: list[Poker]) -> None:
    async with grpc.aio.insecure_channel(worker.server.address) as channel:
        silent = [channel.stream_stream(METHOD)(metadata=begun(b"guess")) for _ in range(20)]
        pokers[0].poke(worker.callee, inbox_buckets=[1])

        assert await worker.next() == "inbox"
        async with asyncio.timeout(30):
            assert {await each.code() for each in silent} == {grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize("silent", [SilentBounds(4, 600)])
async def test_recorded_beginnings_of_calls_take_no_more_room_than_the_bound(
    worker: Worker, pokers: list[Poker]
) -> None:
    """Calls that begin together arrive in any order: which of them are kept is open, how many is not."""
    async with grpc.aio.insecure_channel(worker.server.address) as channel:
        silent = [channel.stream_stream(METHOD)(metadata=begun()) for _ in range(20)]
        codes = [asyncio.create_task(each.code()) for each in silent]

        async with asyncio.timeout(30):
            ended = [await each for each in itertools.islice(asyncio.as_completed(codes), 16)]
        assert set(ended) == {grpc.StatusCode.UNAUTHENTICATED}
        pokers[0].poke(worker.callee, inbox_buckets=[1])
        assert await worker.next() == "inbox"
        assert sum(each.done() for each in codes) in (16, 17)
        for each in silent:
            each.cancel()
        await asyncio.gather(*codes)


async def test_a_recorded_beginning_of_a_call_does_not_disturb_the_one_that_waits(worker: Worker) -> None:
    beginning = begun()
    async with grpc.aio.insecure_channel(worker.server.address) as channel:
        first = channel.stream_stream(METHOD)(metadata=beginning)
        await first.initial_metadata()

        async with asyncio.timeout(30):
            assert await channel.stream_stream(METHOD)(metadata=beginning).code() is grpc.StatusCode.UNAUTHENTICATED
        assert not first.done()
        first.cancel()


async def test_as_many_calls_as_begin_at_once_end_as_many_others() -> None:
    """Each another one: nothing of those that are ended runs before the last has come."""
    calls = VerifyCalls(KEY, uuid.uuid4(), SilentBounds(4, 600))

    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(calls._waiting(nonce())) for _ in range(7)]
        assert [each.done() for each in waiting] == [True] * 3 + [False] * 4

    assert calls._unsigned == {}


async def test_bytes_that_are_no_message_are_unauthenticated(worker: Worker) -> None:
    async with grpc.aio.insecure_channel(worker.server.address) as channel:
        code = await channel.stream_stream(METHOD)(iter([b"\xff\xff\xff"]), timeout=5, metadata=begun()).code()

    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_worker_that_ends_takes_no_new_stream_and_ends_at_once(worker: Worker, pokers: list[Poker]) -> None:
    pokers[0].poke(worker.callee, inbox_buckets=[1])
    await worker.next()
    worker.service.close()
    failed = FailedPokes()
    late = Poker(KEY, "default", SystemClock(), failed)

    late.poke(worker.callee, inbox_buckets=[2])

    async with asyncio.timeout(5):
        await failed.get()
    assert worker.heard.empty()
    await late.close()
