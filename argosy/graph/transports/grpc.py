"""A transport over gRPC: a shard in another process, on this machine or elsewhere."""

import builtins
import contextlib
import secrets
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

from argosy.graph import chunks, feed_messages, messages, op_messages
from argosy.graph.acl import GraphAccess, GraphAcl, encode_acl
from argosy.graph.facts import (
    LIST_MAX,
    NOBODY,
    Answer,
    Applied,
    Direction,
    Edge,
    FencingToken,
    GraphName,
    GraphRef,
    Hit,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.feeds import Fed, FeedBatch, FeedState
from argosy.graph.forgetting import ForgetTurns, Forgotten
from argosy.graph.ops import Op, check_ops
from argosy.graph.transports.grpc_copies import GrpcCopies
from argosy.graph.transports.methods import WRITTEN, method
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_client import Caller, Method

_IDENTIFY: Final = method("Identify")
_CREATE: Final = method("Create", writes=True)
_DROP: Final = method("Drop", writes=True)
_APPLY: Final = method("Apply", writes=True)
_GET_NODES: Final = method("GetNodes")
_NEIGHBORS: Final = method("Neighbors")
_SCAN: Final = method("Scan")
_QUERY: Final = method("Query")
_SEARCH: Final = method("Search")
_SUMMARY: Final = method("Summary")
_BULK_LOAD: Final = method("BulkLoad", writes=True)
_LIST: Final = method("List")
_STATS: Final = method("Stats")
_EXPORT: Final = method("Export")
_IMPORT: Final = method("Import", writes=True)
_FORGET: Final = method("Forget", writes=True)
_INGEST: Final = method("Ingest", writes=True)
_FEEDS: Final = method("Feeds")
_GET_ACL: Final = method("GetAcl")
_SET_ACL: Final = method("SetAcl", writes=True)


class GrpcTransport:
    """One shard (graph/transport.py, Transport)."""

    def __init__(self, caller: Caller, member_id: uuid.UUID) -> None:
        self.copies: Final = GrpcCopies(caller, member_id)
        self._caller = caller
        self._member_id = member_id

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        identity = await self._caller.ask(_IDENTIFY, NOBODY, pb.IdentifyRequest(), deadline_s)
        return uuid.UUID(bytes=identity.member_id)

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        with WRITTEN:
            request = pb.CreateRequest(graph=messages.graph_to_pb(ref))
        await self._ask(_CREATE, request, deadline_s)

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None:
        with WRITTEN:
            request = pb.DropRequest(graph=messages.graph_to_pb(ref))
        await self._ask(_DROP, request, deadline_s)

    async def apply(
        self,
        ref: GraphRef,
        ops: Sequence[Op],
        *,
        key: WriteKey | None,
        token: FencingToken | None,
        source: Source,
        deadline_s: float,
    ) -> Applied:
        check_ops(ops)
        # Every write on the wire has a key, so that whoever sends it again changes nothing.
        key = key or WriteKey(secrets.token_hex(16), self._caller.now_ms())
        with WRITTEN:
            request = pb.ApplyRequest(
                graph=messages.graph_to_pb(ref),
                ops=map(op_messages.op_to_pb, ops),
                key=key.key,
                key_made_at_ms=key.made_at_ms,
                key_digest=key.digest,
                token=None if token is None else messages.token_to_pb(token),
                source=messages.source_to_pb(source),
            )
        return messages.applied_of_pb(await self._ask(_APPLY, request, deadline_s))

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        with WRITTEN:
            request = pb.GetNodesRequest(graph=messages.graph_to_pb(ref), ids=ids)
        response = await self._ask(_GET_NODES, request, deadline_s)
        nodes: list[Node | None] = [None] * len(ids)
        for index, node in zip(response.found, response.nodes, strict=True):
            nodes[index] = messages.node_of_pb(node)
        return nodes

    async def neighbors(
        self,
        ref: GraphRef,
        ids: Sequence[str],
        *,
        types: Sequence[str] = (),
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int,
        deadline_s: float,
    ) -> Neighborhood:
        with WRITTEN:
            request = pb.NeighborsRequest(
                graph=messages.graph_to_pb(ref),
                ids=ids,
                types=types,
                direction=direction.value,
                depth=depth,
                limit=limit,
            )
        return await chunks.facts_of_pb(self._read(_NEIGHBORS, request, deadline_s))

    async def scan(
        self, ref: GraphRef, *, label: str = "", after: str = "", limit: int, deadline_s: float
    ) -> list[Node]:
        with WRITTEN:
            request = pb.ScanRequest(graph=messages.graph_to_pb(ref), label=label, after=after, limit=limit)
        return (await chunks.facts_of_pb(self._read(_SCAN, request, deadline_s))).nodes

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]:
        with WRITTEN:
            request = pb.ScanRequest(graph=messages.graph_to_pb(ref), edges=True, edges_after=after, limit=limit)
        return (await chunks.facts_of_pb(self._read(_SCAN, request, deadline_s))).edges

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        with WRITTEN:
            request = pb.QueryRequest(
                graph=messages.graph_to_pb(ref),
                cypher=cypher,
                params=op_messages.params_to_pb(params),
                row_limit=row_limit,
            )
        return await chunks.answer_of_pb(self._read(_QUERY, request, deadline_s))

    async def search(
        self,
        ref: GraphRef,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float,
    ) -> list[Hit]:
        with WRITTEN:
            request = pb.SearchRequest(
                graph=messages.graph_to_pb(ref),
                text=text,
                vector=None if vector is None else pb.Vector(name=vector[0], values=vector[1]),
                limit=limit,
            )
        return messages.hits_of_pb(await self._ask(_SEARCH, request, deadline_s))

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        with WRITTEN:
            request = pb.SummaryRequest(graph=messages.graph_to_pb(ref))
        return messages.summary_of_pb(await self._ask(_SUMMARY, request, deadline_s))

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied:
        with WRITTEN:
            first = pb.BulkLoadRequest(graph=messages.graph_to_pb(ref), source=messages.source_to_pb(source))

        async def requests() -> AsyncIterator[pb.BulkLoadRequest]:
            yield first
            async for ops in batches:
                check_ops(ops)
                with WRITTEN:
                    request = pb.BulkLoadRequest(ops=map(op_messages.op_to_pb, ops))
                yield request

        response = await self._caller.send(_BULK_LOAD, self._member_id, requests(), deadline_s)
        return messages.applied_of_pb(response)

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> builtins.list[tuple[GraphName, Stats]]:
        with WRITTEN:
            behind = None if after is None else pb.Graph(tenant=after.tenant, graph=after.graph)
            request = pb.ListRequest(after=behind, limit=limit)
        parts = self._caller.read(_LIST, NOBODY, request, deadline_s)
        return [messages.stats_of_pb(each) async for part in parts for each in part.graphs]

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        with WRITTEN:
            request = pb.StatsRequest(graph=messages.graph_to_pb(ref))
        return messages.stats_of_pb((await self._ask(_STATS, request, deadline_s)).stats)[1]

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncGenerator[bytes, None]:
        with WRITTEN:
            request = pb.ExportRequest(graph=messages.graph_to_pb(ref))
        async with contextlib.aclosing(self._read(_EXPORT, request, deadline_s)) as parts:
            async for part in parts:
                yield part.lines

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None:
        with WRITTEN:
            first = pb.ImportRequest(graph=messages.graph_to_pb(ref))

        async def requests() -> AsyncIterator[pb.ImportRequest]:
            yield first
            async for part in chunks.joined(lines):
                yield pb.ImportRequest(lines=part)

        await self._caller.send(_IMPORT, self._member_id, requests(), deadline_s)

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        with WRITTEN:
            request = pb.GetAclRequest(graph=messages.graph_to_pb(ref))
        return messages.access_of_pb(await self._ask(_GET_ACL, request, deadline_s))

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        with WRITTEN:
            encoded = b"" if acl is None else encode_acl(acl)
            request = pb.SetAclRequest(graph=messages.graph_to_pb(ref), acl=encoded)
        await self._ask(_SET_ACL, request, deadline_s)

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        with WRITTEN:
            request = feed_messages.batch_to_pb(ref, batch)
        return feed_messages.fed_of_pb(await self._ask(_INGEST, request, deadline_s))

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> builtins.list[FeedState | None]:
        with WRITTEN:
            request = pb.FeedsRequest(graph=messages.graph_to_pb(ref), feeds=names)
        return feed_messages.states_of_pb(await self._ask(_FEEDS, request, deadline_s), len(names))

    async def forget(self, ref: GraphRef, turns: ForgetTurns, *, deadline_s: float) -> Forgotten:
        with WRITTEN:
            request = pb.ForgetRequest(
                graph=messages.graph_to_pb(ref),
                turn_ids=turns.turn_ids,
                fences=map(messages.token_to_pb, turns.fences),
                is_again=turns.is_again,
                feeds=[pb.ForgetFeed(feed=each.feed, made_at_ms=each.made_at_ms) for each in turns.feeds],
            )
        answer = await self._ask(_FORGET, request, deadline_s)
        return Forgotten(answer.nodes, answer.edges, answer.is_done)

    async def close(self) -> None:
        await self._caller.close()

    async def _ask(self, method: Method, request: Any, deadline_s: float) -> Any:
        return await self._caller.ask(method, self._member_id, request, deadline_s)

    def _read(self, method: Method, request: Any, deadline_s: float) -> Any:
        return self._caller.read(method, self._member_id, request, deadline_s)
