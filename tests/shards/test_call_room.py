"""How much of requests a shard takes in at once."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy import config
from argosy.errors import ArgosyError, SettingError, ShardBusyError
from argosy.graph.facts import GraphRef
from argosy.graph.messages import graph_to_pb
from argosy.graph.ops import Op
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_signing import CALL_HEADER, SIZE_HEADER, opening_of, size_header_of
from argosy.shards.engine import Engine
from argosy.telemetry import CALLS_SIZE_BYTES
from tests.harness.metrics import value_of
from tests.shards.conditions import until
from tests.shards.engines import NO_SOURCE, person
from tests.shards.raw_calls import REFUSED, Recorded, recorded
from tests.shards.served import KEY, S, Served, serving

MIB = 1_048_576
SMALL: Any = {"shard_message_size_bytes_max": 2 * MIB, "graph_batch_size_bytes_max": MIB}


@pytest.fixture
async def served(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as served:
        yield served


async def outcome(asked: "asyncio.Task[Any]") -> Any:
    try:
        return await asyncio.shield(asked)
    except ArgosyError as error:
        return error


async def test_requests_have_so_many_bytes_together(engine: Engine, ref: GraphRef) -> None:
    async with serving(engine, **SMALL, shard_requests_size_bytes_max=3 * MIB) as served:
        served.shard.waits = asyncio.Event()
        shard = served.transport()
        first = asyncio.create_task(shard.query(ref, "x" * 2_000_000, {}, row_limit=9, deadline_s=S))
        await served.shard.begun.wait()

        with pytest.raises(ShardBusyError, match="SHARD_REQUESTS_SIZE_BYTES_MAX"):
            await shard.query(ref, "y" * 2_000_000, {}, row_limit=9, deadline_s=S)
        with pytest.raises(ShardBusyError, match="SHARD_REQUESTS_SIZE_BYTES_MAX"):
            await shard.apply(
                ref,
                [person(each, text="y" * 1_000_000) for each in ("ada", "bob")],
                key=None,
                token=None,
                source=NO_SOURCE,
                deadline_s=S,
            )
        assert await shard.get_nodes(ref, ["ada"], deadline_s=S) == [None]

        served.shard.waits.set()
        assert await first == served.shard.answer
        assert await shard.query(ref, "y" * 2_000_000, {}, row_limit=9, deadline_s=S) == served.shard.answer


async def test_many_small_requests_are_counted_as_well(engine: Engine, ref: GraphRef) -> None:
    fit = 2 * MIB // 60_100
    async with serving(engine, **SMALL, shard_requests_size_bytes_max=2 * MIB) as served:
        served.shard.waits = asyncio.Event()
        shard = served.transport()

        asked = [asyncio.create_task(shard.query(ref, "x" * 60_000, {}, row_limit=9, deadline_s=S)) for _ in range(40)]
        refused = [await each for each in itertools.islice(asyncio.as_completed(map(outcome, asked)), 40 - fit)]
        served.shard.waits.set()
        answered = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(each) for each in refused} == {ShardBusyError}
    assert answered.count(served.shard.answer) == fit


def opened(served: Served, ref: GraphRef, said_bytes: int) -> tuple[Recorded, Any]:
    """Return a call, and its metadata with what it says about its size."""
    call = recorded(served, "Query", pb.QueryRequest(graph=graph_to_pb(ref)))
    _, key = opening_of({CALL_HEADER: call.header}, [KEY], call.path)
    return call, ((CALL_HEADER, call.header), (SIZE_HEADER, size_header_of(said_bytes, key)))


async def test_what_has_no_room_is_refused_before_it_is_sent(engine: Engine, ref: GraphRef) -> None:
    async with (
        serving(engine, **SMALL, shard_requests_size_bytes_max=2 * MIB) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        call, metadata = opened(served, ref, 2 * MIB)
        first = channel.stream_stream(call.path)(metadata=metadata, timeout=S)
        await until(lambda: value_of(CALLS_SIZE_BYTES) == 2 * MIB)

        call, metadata = opened(served, ref, 100_000)
        second = channel.stream_stream(call.path)(metadata=metadata, timeout=S)
        refused = await second.code()

        first.cancel()
        await until(lambda: value_of(CALLS_SIZE_BYTES) == 0)

    assert refused is grpc.StatusCode.UNAVAILABLE


async def test_a_request_has_the_size_that_its_call_was_opened_for(served: Served, ref: GraphRef) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        call, metadata = opened(served, ref, 100_000)
        asked = channel.unary_unary(call.path)(call.message, metadata=metadata, timeout=S)

        assert await asked.code() is REFUSED


async def test_a_size_that_was_altered_is_refused(served: Served, ref: GraphRef) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        call, (opening, (_, size)) = opened(served, ref, 100_000)
        altered = (SIZE_HEADER, b"\0" * 8 + size[8:])
        asked = channel.unary_unary(call.path)(call.message, metadata=(opening, altered), timeout=S)

        assert await asked.code() is REFUSED


async def test_a_load_takes_room_for_one_batch_at_a_time(engine: Engine, ref: GraphRef) -> None:
    async def batches() -> AsyncIterator[list[Op]]:
        for number in range(5):
            yield [person(f"p{number}", text="x" * 1_000_000)]

    async with serving(engine, **SMALL, shard_requests_size_bytes_max=2 * MIB) as served:
        applied = await served.transport().bulk_load(ref, batches(), source=NO_SOURCE, deadline_s=S)

    assert applied.failed == -1


def test_one_request_of_any_size_has_room() -> None:
    with pytest.raises(SettingError, match="SHARD_REQUESTS_SIZE_BYTES_MAX"):
        config.load({}, shard_requests_size_bytes_max=4 * MIB)
