"""The service of a shard, as proto/argosy/rpc/shard.proto has it, over any transport in this process.

A request becomes a call of the transport, which checks what it is given, and its answer becomes messages. Requests were
verified before, and errors become refusals behind (argosy/rpc/call_server.py).
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from argosy.errors import GraphInputError
from argosy.graph import chunks, feed_messages, messages, op_messages
from argosy.graph.acl import decode_acl
from argosy.graph.facts import LIST_MAX, Direction, GraphName
from argosy.graph.forgetting import ForgetFeed, ForgetTurns
from argosy.graph.ops import Op
from argosy.graph.transport import Transport
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.shard_pb2_grpc import add_ShardServicer_to_server
from argosy.shards.calls import first_of, left_s_of
from argosy.shards.copy_service import CopyService
from argosy.shards.limits import INLINE_OPS_MAX

SERVICE: Final = pb.DESCRIPTOR.services_by_name["Shard"].full_name
FOR_ANYBODY: Final = frozenset({f"/{SERVICE}/Identify", f"/{SERVICE}/List"})


class ShardService(CopyService):
    """Answers with what a transport in this process answers."""

    def __init__(self, shard: Transport, member_id: uuid.UUID) -> None:
        self._shard = shard
        self._member_id = member_id

    def add_to(self, server: Any) -> None:
        add_ShardServicer_to_server(self, server)

    async def Identify(self, request: pb.IdentifyRequest, context: Any) -> pb.Identity:  # noqa: N802
        return pb.Identity(member_id=self._member_id.bytes)

    async def Create(self, request: pb.CreateRequest, context: Any) -> pb.Done:  # noqa: N802
        await self._shard.create(messages.graph_of_pb(request.graph), deadline_s=left_s_of(context))
        return pb.Done()

    async def Drop(self, request: pb.DropRequest, context: Any) -> pb.Done:  # noqa: N802
        await self._shard.drop(messages.graph_of_pb(request.graph), deadline_s=left_s_of(context))
        return pb.Done()

    async def Apply(self, request: pb.ApplyRequest, context: Any) -> pb.ApplyResponse:  # noqa: N802
        applied = await self._shard.apply(
            messages.graph_of_pb(request.graph),
            await _ops_of(request.ops),
            key=messages.key_of_pb(request),
            token=messages.token_of_pb(request.token) if request.HasField("token") else None,
            source=messages.source_of_pb(request.source),
            deadline_s=left_s_of(context),
        )
        return messages.applied_to_pb(applied)

    async def GetNodes(self, request: pb.GetNodesRequest, context: Any) -> pb.GetNodesResponse:  # noqa: N802
        nodes = await self._shard.get_nodes(
            messages.graph_of_pb(request.graph), request.ids[:], deadline_s=left_s_of(context)
        )
        return messages.nodes_to_pb(nodes)

    async def Neighbors(self, request: pb.NeighborsRequest, context: Any) -> AsyncIterator[pb.Facts]:  # noqa: N802
        try:
            direction = Direction(request.direction)
        except ValueError as error:
            raise GraphInputError(f"direction: out, in or both, not {request.direction!r}") from error
        found = await self._shard.neighbors(
            messages.graph_of_pb(request.graph),
            list(request.ids),
            types=list(request.types),
            direction=direction,
            depth=request.depth,
            limit=request.limit,
            deadline_s=left_s_of(context),
        )
        for facts in chunks.facts_to_pb(found.nodes, found.edges, is_cut=found.is_cut):
            yield facts

    async def Scan(self, request: pb.ScanRequest, context: Any) -> AsyncIterator[pb.Facts]:  # noqa: N802
        ref, left_s = messages.graph_of_pb(request.graph), left_s_of(context)
        if request.edges:
            src, type_, dst = _three(request.edges_after)
            edges = await self._shard.scan_edges(ref, after=(src, type_, dst), limit=request.limit, deadline_s=left_s)
            parts = chunks.facts_to_pb([], edges)
        else:
            nodes = await self._shard.scan(
                ref, label=request.label, after=request.after, limit=request.limit, deadline_s=left_s
            )
            parts = chunks.facts_to_pb(nodes, [])
        for facts in parts:
            yield facts

    async def Query(self, request: pb.QueryRequest, context: Any) -> AsyncIterator[pb.Rows]:  # noqa: N802
        answer = await self._shard.query(
            messages.graph_of_pb(request.graph),
            request.cypher,
            op_messages.params_of_pb(request.params),
            row_limit=request.row_limit,
            deadline_s=left_s_of(context),
        )
        for rows in chunks.answer_to_pb(answer):
            yield rows

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.Hits:  # noqa: N802
        vector = (request.vector.name, list(request.vector.values)) if request.HasField("vector") else None
        hits = await self._shard.search(
            messages.graph_of_pb(request.graph),
            request.text,
            vector=vector,
            limit=request.limit,
            deadline_s=left_s_of(context),
        )
        return messages.hits_to_pb(hits)

    async def Summary(self, request: pb.SummaryRequest, context: Any) -> pb.SummaryResponse:  # noqa: N802
        summary = await self._shard.summary(messages.graph_of_pb(request.graph), deadline_s=left_s_of(context))
        return messages.summary_to_pb(summary)

    async def BulkLoad(self, requests: AsyncIterator[pb.BulkLoadRequest], context: Any) -> pb.ApplyResponse:  # noqa: N802
        first = await first_of(requests)

        async def batches() -> AsyncIterator[Sequence[Op]]:
            async for request in requests:
                yield await _ops_of(request.ops)

        applied = await self._shard.bulk_load(
            messages.graph_of_pb(first.graph),
            batches(),
            source=messages.source_of_pb(first.source),
            deadline_s=left_s_of(context),
        )
        return messages.applied_to_pb(applied)

    async def List(self, request: pb.ListRequest, context: Any) -> AsyncIterator[pb.ListResponse]:  # noqa: N802
        after = GraphName(request.after.tenant, request.after.graph) if request.HasField("after") else None
        limit = request.limit if request.HasField("limit") else LIST_MAX
        while page := await self._shard.list(after=after, limit=limit, deadline_s=left_s_of(context)):
            yield pb.ListResponse(graphs=[messages.stats_to_pb(name, stats) for name, stats in page])
            if request.HasField("limit"):
                return
            after = page[-1][0]

    async def Stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsResponse:  # noqa: N802
        ref = messages.graph_of_pb(request.graph)
        stats = await self._shard.stats(ref, deadline_s=left_s_of(context))
        return pb.StatsResponse(stats=messages.stats_to_pb(GraphName(ref.tenant, ref.graph), stats))

    async def Export(self, request: pb.ExportRequest, context: Any) -> AsyncIterator[pb.Lines]:  # noqa: N802
        lines = self._shard.export(messages.graph_of_pb(request.graph), deadline_s=left_s_of(context))
        async with contextlib.aclosing(chunks.joined(lines)) as parts:
            async for part in parts:
                yield pb.Lines(lines=part)

    async def Import(self, requests: AsyncIterator[pb.ImportRequest], context: Any) -> pb.Done:  # noqa: N802
        first = await first_of(requests)

        async def lines() -> AsyncIterator[bytes]:
            async for request in requests:
                yield request.lines

        await self._shard.restore(messages.graph_of_pb(first.graph), lines(), deadline_s=left_s_of(context))
        return pb.Done()

    async def Ingest(self, request: pb.IngestRequest, context: Any) -> pb.IngestResponse:  # noqa: N802
        ref, batch = messages.graph_of_pb(request.graph), feed_messages.batch_of_pb(request)
        return feed_messages.fed_to_pb(await self._shard.ingest(ref, batch, deadline_s=left_s_of(context)))

    async def Feeds(self, request: pb.FeedsRequest, context: Any) -> pb.FeedsResponse:  # noqa: N802
        ref = messages.graph_of_pb(request.graph)
        return feed_messages.states_to_pb(await self._shard.feeds(ref, request.feeds[:], deadline_s=left_s_of(context)))

    async def GetAcl(self, request: pb.GetAclRequest, context: Any) -> pb.GetAclResponse:  # noqa: N802
        ref = messages.graph_of_pb(request.graph)
        return messages.access_to_pb(await self._shard.get_acl(ref, deadline_s=left_s_of(context)))

    async def SetAcl(self, request: pb.SetAclRequest, context: Any) -> pb.Done:  # noqa: N802
        ref, acl = messages.graph_of_pb(request.graph), decode_acl(request.acl) if request.acl else None
        await self._shard.set_acl(ref, acl, deadline_s=left_s_of(context))
        return pb.Done()

    async def Forget(self, request: pb.ForgetRequest, context: Any) -> pb.Forgotten:  # noqa: N802
        feeds = [ForgetFeed(each.feed, each.made_at_ms) for each in request.feeds]
        fences = [*map(messages.token_of_pb, request.fences)]
        turns = ForgetTurns(request.turn_ids[:], fences, request.is_again, feeds)
        forgotten = await self._shard.forget(messages.graph_of_pb(request.graph), turns, deadline_s=left_s_of(context))
        return pb.Forgotten(nodes=forgotten.nodes, edges=forgotten.edges, is_done=forgotten.is_done)


async def _ops_of(ops: Sequence[pb.Op]) -> list[Op]:
    if len(ops) <= INLINE_OPS_MAX:
        return [op_messages.op_of_pb(op) for op in ops]
    return await asyncio.to_thread(lambda: [op_messages.op_of_pb(op) for op in ops])


def _three(names: Sequence[str]) -> tuple[str, str, str]:
    if not names:
        return "", "", ""
    if len(names) != 3:
        raise GraphInputError(f"edges_after: src, type and dst, not {len(names)} names")
    return names[0], names[1], names[2]
