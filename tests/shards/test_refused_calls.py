"""Who is not heard by a shard, and what a call that was recorded can do."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy.clock import SystemClock
from argosy.errors import ShardUnavailableError, WrongOwnerError
from argosy.graph.facts import GraphRef, GraphState, WriteKey
from argosy.graph.messages import graph_to_pb
from argosy.graph.op_messages import op_to_pb
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_signing import CALL_HEADER, CHALLENGE_HEADER, REQUESTS, Codes, Opening, call_key, header_of
from argosy.shards.engine import Engine
from tests.shards.engines import NO_SOURCE, never, new_ref, person
from tests.shards.raw_calls import OK, REFUSED, recorded, send, status_of
from tests.shards.served import KEY, ClockApart, S, Served, serving


@pytest.fixture
async def served(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as served:
        yield served


async def test_a_valid_call_is_heard(served: Served, ref: GraphRef) -> None:
    assert await status_of(served, recorded(served, "Drop", pb.DropRequest(graph=graph_to_pb(ref)))) is OK
    assert served.engine.list(never) == []


async def test_a_stale_call_is_refused(served: Served, ref: GraphRef) -> None:
    for apart_ms in (-61_000, 61_000):
        at_ms = SystemClock().unix_ms() + apart_ms
        drop = recorded(served, "Drop", pb.DropRequest(graph=graph_to_pb(ref)), at_ms=at_ms)

        status, details = await send(served, drop)

        assert status is REFUSED
        assert "clock" in details
    assert len(served.engine.list(never)) == 1


async def test_a_shard_of_another_version_is_said_to_be_one(served: Served, ref: GraphRef) -> None:
    server = grpc.aio.server()  # it knows no call at all
    other = served.transport(address=f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()

    with pytest.raises(ShardUnavailableError, match="it is of another version, and knows no SetState"):
        await other.copies.set_state(ref, GraphState.SEALED, 1, deadline_s=S)

    await server.stop(None)


async def test_an_altered_call_is_refused(served: Served, ref: GraphRef) -> None:
    other = new_ref(graph="other")
    served.engine.create(other)
    drop = recorded(served, "Drop", pb.DropRequest(graph=graph_to_pb(ref)))
    of_other = recorded(served, "Drop", pb.DropRequest(graph=graph_to_pb(other)))
    late = bytearray(drop.header)
    late[20] ^= 1

    altered = [
        drop._replace(message=of_other.message),
        drop._replace(message=drop.message.replace(b"people", b"plants")),
        drop._replace(message=pb.DropRequest(graph=graph_to_pb(ref)).SerializeToString()),
        drop._replace(message=b""),
        drop._replace(header=bytes(late)),
        drop._replace(header=b""),
        drop._replace(path=drop.path.replace("Drop", "Create")),
    ]

    assert [await status_of(served, call) for call in altered] == [REFUSED] * len(altered)
    assert len(served.engine.list(never)) == 2


async def test_a_call_signed_with_another_secret_is_refused(served: Served, ref: GraphRef) -> None:
    drop = recorded(served, "Drop", pb.DropRequest(graph=graph_to_pb(ref)), key=b"o" * 32)

    assert await status_of(served, drop) is REFUSED
    assert len(served.engine.list(never)) == 1


async def test_a_caller_with_another_secret_is_told_so(served: Served, ref: GraphRef) -> None:
    foreign = served.transport(key=b"o" * 32)

    with pytest.raises(ShardUnavailableError, match="another secret"):
        await foreign.drop(ref, deadline_s=S)
    with pytest.raises(ShardUnavailableError, match="another secret"):
        await foreign.query(ref, "RETURN 1", {}, row_limit=1, deadline_s=S)
    assert len(served.engine.list(never)) == 1


async def test_a_call_for_another_folder_changes_nothing(served: Served, ref: GraphRef) -> None:
    other = served.transport(member_id=uuid.uuid4())

    with pytest.raises(WrongOwnerError):
        await other.create(new_ref(graph="other"), deadline_s=S)
    with pytest.raises(WrongOwnerError):
        await other.drop(ref, deadline_s=S)

    assert await other.identify(deadline_s=S) == served.engine.member_id
    assert [name.graph for name, _ in await other.list(deadline_s=S)] == ["people"]


async def test_a_replayed_drop_does_not_drop_what_was_made_since(served: Served, ref: GraphRef) -> None:
    drop = recorded(served, "Drop", pb.DropRequest(graph=graph_to_pb(ref)))
    await send(served, drop)
    again = new_ref()
    await served.transport().create(again, deadline_s=S)

    assert await status_of(served, drop) is OK

    assert (await served.transport().stats(again, deadline_s=S)).incarnation == again.incarnation


async def test_a_replayed_create_does_not_bring_back_what_was_dropped(served: Served) -> None:
    ref = new_ref()
    create = recorded(served, "Create", pb.CreateRequest(graph=graph_to_pb(ref)))
    assert await status_of(served, create) is OK
    await served.transport().drop(ref, deadline_s=S)

    assert await status_of(served, create) is grpc.StatusCode.FAILED_PRECONDITION

    assert served.engine.list(never) == []


async def test_a_replayed_write_changes_nothing(served: Served, ref: GraphRef) -> None:
    op = op_to_pb(person("ada", age=1))
    key = WriteKey("k", SystemClock().unix_ms())
    write = recorded(
        served,
        "Apply",
        pb.ApplyRequest(graph=graph_to_pb(ref), ops=[op], key=key.key, key_made_at_ms=key.made_at_ms),
    )
    await send(served, write)
    await apply(served, ref, 2)

    assert await status_of(served, write) is OK

    assert await props_of_ada(served, ref) == b'{"age":2}'


async def test_every_write_of_a_transport_has_a_key(served: Served, ref: GraphRef) -> None:
    """So whoever sends it again changes nothing, even when its caller did not care."""
    await apply(served, ref, 1)
    await apply(served, ref, 1)

    assert len(served.shard.keys) == 2
    assert None not in served.shard.keys


async def apply(served: Served, ref: GraphRef, age: int) -> None:
    ops = [person("ada", age=age)]
    await served.transport().apply(ref, ops, key=None, token=None, source=NO_SOURCE, deadline_s=S)


async def props_of_ada(served: Served, ref: GraphRef) -> bytes | None:
    (ada,) = await served.transport().get_nodes(ref, ["ada"], deadline_s=S)
    return ada.props if ada else None


class Load:
    """A bulk load, byte by byte."""

    def __init__(self, served: Served, ref: GraphRef) -> None:
        self._path = "/argosy.rpc.v2.Shard/BulkLoad"
        opening = Opening.of_now(served.engine.member_id, SystemClock().unix_ms())
        self._key = call_key(KEY, self._path, opening)
        self._header = header_of(opening, self._key)
        self._served = served
        self._requests = [
            pb.BulkLoadRequest(graph=graph_to_pb(ref)),
            pb.BulkLoadRequest(ops=[op_to_pb(person("ada", age=1))]),
        ]
        self.sent: list[bytes] = []

    async def send(self, *, replays: bool = False, has_end: bool = True) -> grpc.StatusCode:
        async with grpc.aio.insecure_channel(self._served.address) as channel:
            call = channel.stream_stream(self._path)(metadata=((CALL_HEADER, self._header),), timeout=5)
            given: Any = dict(await call.initial_metadata() or ())[CHALLENGE_HEADER]
            if not replays:
                codes = Codes(self._key, REQUESTS, given)
                self.sent = [codes.sign(each.SerializeToString()) for each in self._requests]
                self.sent += [codes.sign_end()] * has_end
            try:
                for message in self.sent:
                    await call.write(message)
                await call.done_writing()
                while await call.read() is not grpc.aio.EOF:
                    pass
            except (grpc.aio.AioRpcError, grpc.aio.UsageError):
                pass
            return await call.code()


async def test_a_replayed_load_is_refused(served: Served, ref: GraphRef) -> None:
    load = Load(served, ref)
    assert await load.send() is OK
    await apply(served, ref, 2)

    assert await load.send(replays=True) is not OK

    assert await props_of_ada(served, ref) == b'{"age":2}'


async def test_a_load_that_was_cut_off_changes_nothing(served: Served, ref: GraphRef) -> None:
    assert await Load(served, ref).send(has_end=False) is REFUSED

    assert await props_of_ada(served, ref) is None


class CountingClock(SystemClock):
    """It is read once for each call that is signed."""

    def __init__(self) -> None:
        self.reads = 0

    def unix_ms(self) -> int:
        self.reads += 1
        return super().unix_ms()


@pytest.mark.parametrize("ahead_s", [3_600, -3_600])
async def test_a_clock_an_hour_off_costs_one_call_more_once(engine: Engine, ref: GraphRef, ahead_s: float) -> None:
    clock = CountingClock()
    async with serving(engine, clock=clock) as served:
        apart = served.transport(clock=ClockApart(ahead_s))

        await apart.stats(ref, deadline_s=S)
        first = clock.reads
        await apart.stats(ref, deadline_s=S)
        second = clock.reads - first

    assert (first, second) == (2, 1)


async def test_calls_of_every_kind_are_signed_again(engine: Engine, ref: GraphRef) -> None:
    async def batches() -> AsyncIterator[list[Any]]:
        yield [person("ada", age=1)]

    async with serving(engine) as served:
        clock = ClockApart(3_600)

        applied = await served.transport(clock=clock).bulk_load(ref, batches(), source=NO_SOURCE, deadline_s=S)
        nodes = await served.transport(clock=clock).scan(ref, limit=3, deadline_s=S)

    assert applied.failed == -1
    assert [node.id for node in nodes] == ["ada"]


async def test_a_clock_that_cannot_be_trusted_twice_is_an_error(engine: Engine, ref: GraphRef) -> None:
    class Leaping(SystemClock):
        hours = 0

        def unix_ms(self) -> int:
            self.hours += 1
            return super().unix_ms() + self.hours * 3_600_000

    async with serving(engine) as served:
        with pytest.raises(ShardUnavailableError, match="clock"):
            await served.transport(clock=Leaping()).stats(ref, deadline_s=S)
