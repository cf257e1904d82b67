"""The calls of a shard's service that copy graphs, over any transport in this process (service.py)."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from argosy.graph import copy_messages, messages
from argosy.graph.copies import CopyPart
from argosy.graph.facts import GraphName
from argosy.graph.transport import Transport
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.shard_pb2_grpc import ShardServicer
from argosy.shards.calls import first_of, left_s_of


class CopyService(ShardServicer):  # type: ignore[misc]
    """Answers with what the copies of a transport in this process answer."""

    _shard: Transport

    async def Copy(self, request: pb.CopyRequest, context: Any) -> AsyncIterator[pb.CopyPart]:  # noqa: N802
        ref, copy_id = messages.graph_of_pb(request.graph), copy_messages.copy_id_of_pb(request.copy_id)
        parts = self._shard.copies.copy(ref, copy_id, offset=request.offset, deadline_s=left_s_of(context))
        async for part in _sent(parts):
            yield part

    async def CopyTail(self, request: pb.CopyRequest, context: Any) -> AsyncIterator[pb.CopyPart]:  # noqa: N802
        ref, copy_id = messages.graph_of_pb(request.graph), copy_messages.copy_id_of_pb(request.copy_id)
        parts = self._shard.copies.copy_tail(ref, copy_id, offset=request.offset, deadline_s=left_s_of(context))
        async for part in _sent(parts):
            yield part

    async def ReleaseCopy(self, request: pb.ReleaseCopyRequest, context: Any) -> pb.Done:  # noqa: N802
        ref, copy_id = messages.graph_of_pb(request.graph), copy_messages.copy_id_of_pb(request.copy_id)
        await self._shard.copies.release_copy(ref, copy_id, deadline_s=left_s_of(context))
        return pb.Done()

    async def Receive(self, requests: AsyncIterator[pb.ReceiveRequest], context: Any) -> pb.ReceiveResponse:  # noqa: N802
        first = await first_of(requests)
        ref, copy_id = messages.graph_of_pb(first.graph), copy_messages.copy_id_of_pb(first.copy_id)

        async def parts() -> AsyncIterator[CopyPart]:
            async for request in requests:
                yield copy_messages.part_of_pb(request.part)

        received = await self._shard.copies.receive(
            ref, copy_id, parts(), is_tail=first.is_tail, deadline_s=left_s_of(context)
        )
        return copy_messages.received_to_pb(received)

    async def Land(self, request: pb.LandRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        ref, copy_id = messages.graph_of_pb(request.graph), copy_messages.copy_id_of_pb(request.copy_id)
        sums, expected = copy_messages.sums_of_pb(request), copy_messages.expected_of_pb(request)
        stats = await self._shard.copies.land(ref, copy_id, sums, expected, deadline_s=left_s_of(context))
        return pb.StatsResponse(stats=messages.stats_to_pb(GraphName(ref.tenant, ref.graph), stats))

    async def SetState(self, request: pb.SetStateRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        ref, state = messages.graph_of_pb(request.graph), copy_messages.state_of_pb(request.state)
        stats = await self._shard.copies.set_state(ref, state, request.generation, deadline_s=left_s_of(context))
        return pb.StatsResponse(stats=messages.stats_to_pb(GraphName(ref.tenant, ref.graph), stats))

    async def Activate(self, request: pb.ActivateRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        ref, copy_id = messages.graph_of_pb(request.graph), copy_messages.copy_id_of_pb(request.copy_id)
        stats = await self._shard.copies.activate(ref, copy_id, request.generation, deadline_s=left_s_of(context))
        return pb.StatsResponse(stats=messages.stats_to_pb(GraphName(ref.tenant, ref.graph), stats))

    async def Abandon(self, request: pb.AbandonRequest, context: Any) -> pb.Done:  # noqa: N802
        await self._shard.copies.abandon(messages.graph_of_pb(request.graph), deadline_s=left_s_of(context))
        return pb.Done()


async def _sent(parts: AsyncGenerator[CopyPart, None]) -> AsyncGenerator[pb.CopyPart, None]:
    async with contextlib.aclosing(parts):
        async for part in parts:
            yield copy_messages.part_to_pb(part)
