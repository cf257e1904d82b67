"""A process at a shard's address that is not the shard: nothing that it says is believed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from argosy.clock import SystemClock
from argosy.errors import FencedError, GraphDeadlineError, OutcomeUnknownError, ShardUnavailableError
from argosy.graph.facts import Member
from argosy.graph.transports.connect import GrpcConnect
from argosy.graph.transports.grpc import GrpcTransport
from argosy.rpc import refusals
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_signing import ANSWERS, REFUSAL, Codes, opening_of
from argosy.rpc.refusals import STALE, Refusal, refusal_of
from tests.shards.engines import NO_SOURCE, new_ref, person
from tests.shards.served import KEY, S, settings_of

OTHER = b"o" * 32


class Stranger(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers any call as a test says."""

    def __init__(self) -> None:
        self.says: Callable[[str, bytes, Any], Any]
        self.calls = 0

    def service(self, handler_call_details: Any) -> Any:
        async def answer(message: bytes, context: Any) -> None:
            self.calls += 1
            await self.says(handler_call_details.method, message, context)

        return grpc.unary_stream_rpc_method_handler(answer)


@pytest.fixture
async def stranger() -> AsyncIterator[tuple[Stranger, GrpcTransport]]:
    stranger, ref = Stranger(), new_ref()
    server = grpc.aio.server(handlers=[stranger])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    transport = GrpcConnect(KEY, SystemClock(), settings_of()).to(Member(ref.incarnation, f"127.0.0.1:{port}"))
    yield stranger, transport
    await transport.close()
    await server.stop(0)


Strange = tuple[Stranger, GrpcTransport]


def key_of_call(context: Any, method: str, key: bytes = KEY) -> bytes:
    return opening_of(dict(context.invocation_metadata()), [key], method)[1]


async def test_an_answer_that_is_not_signed_is_not_believed(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        await context.write(pb.GetNodesResponse().SerializeToString())

    stranger[0].says = says

    with pytest.raises(ShardUnavailableError, match="not the shard's"):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S)


async def test_a_write_that_a_stranger_took_may_have_reached_the_shard(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        await context.write(pb.ApplyResponse(version=1, failed=-1).SerializeToString())

    stranger[0].says = says

    with pytest.raises(OutcomeUnknownError):
        await stranger[1].apply(new_ref(), [person("ada")], key=None, token=None, source=NO_SOURCE, deadline_s=S)


async def test_an_answer_to_an_earlier_call_is_not_believed(stranger: Strange) -> None:
    kept: list[bytes] = []

    async def says(method: str, message: bytes, context: Any) -> None:
        answer = Codes(key_of_call(context, method), ANSWERS).sign(pb.GetNodesResponse().SerializeToString())
        kept.append(answer)
        await context.write(kept[0])

    stranger[0].says = says
    assert await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S) == [None]

    with pytest.raises(ShardUnavailableError):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S)


async def test_a_request_sent_back_is_no_answer(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        await context.write(message)

    stranger[0].says = says

    with pytest.raises(ShardUnavailableError):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S)


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_answers_that_are_cut_off_are_not_taken_for_whole(stranger: Strange, sent: int) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        codes = Codes(key_of_call(context, method), ANSWERS)
        for _ in range(sent):
            await context.write(codes.sign(pb.Facts().SerializeToString()))

    stranger[0].says = says

    with pytest.raises(ShardUnavailableError, match="before their end"):
        await stranger[1].scan(new_ref(), limit=5, deadline_s=S)


async def test_an_error_that_is_not_signed_is_not_believed(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        refusal = refusal_of(FencedError("late"))
        forged = Codes(OTHER, REFUSAL).sign(refusals.encode(refusal))
        await context.abort(refusals.status_of(refusal), "late", refusals.metadata_of(refusal, forged))

    stranger[0].says = says

    with pytest.raises(ShardUnavailableError, match="not the shard's"):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S)


async def test_no_stranger_sets_the_clock_of_a_caller(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        refusal = Refusal(STALE, "late", now_ms=1)
        forged = Codes(OTHER, REFUSAL).sign(refusals.encode(refusal))
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "late", refusals.metadata_of(refusal, forged))

    stranger[0].says = says

    with pytest.raises(ShardUnavailableError, match="not the shard's"):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S)
    assert stranger[0].calls == 1


async def test_a_callee_of_a_newer_version_may_have_errors_that_nobody_knows(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        signed = Codes(key_of_call(context, method), REFUSAL).sign(b'{"code":"new","message":"of tomorrow"}')
        await context.abort(grpc.StatusCode.ABORTED, "", (("argosy-refusal-bin", signed),))

    stranger[0].says = says

    with pytest.raises(Exception, match="of tomorrow"):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S)


async def test_a_callee_that_never_answers_is_left_at_the_deadline(stranger: Strange) -> None:
    async def says(method: str, message: bytes, context: Any) -> None:
        await asyncio.Event().wait()

    stranger[0].says = says

    with pytest.raises(GraphDeadlineError):
        await stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=0.2)


async def test_nobody_at_the_address_is_said_at_once() -> None:
    transport = GrpcConnect(KEY, SystemClock(), settings_of()).to(Member(new_ref().incarnation, "127.0.0.1:1"))

    with pytest.raises(ShardUnavailableError):
        await transport.apply(new_ref(), [person("ada")], key=None, token=None, source=NO_SOURCE, deadline_s=S)

    await transport.close()


async def test_calls_under_way_when_a_transport_is_closed_are_not_cancelled_tasks(stranger: Strange) -> None:
    begun = asyncio.Event()

    async def says(method: str, message: bytes, context: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    stranger[0].says = says
    asked = asyncio.create_task(stranger[1].get_nodes(new_ref(), ["ada"], deadline_s=S))
    read = asyncio.create_task(stranger[1].scan(new_ref(), limit=1, deadline_s=S))
    await begun.wait()

    await stranger[1].close()

    for task in (asked, read):
        with pytest.raises(ShardUnavailableError):
            await task
