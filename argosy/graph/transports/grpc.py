"""A transport over gRPC: a shard in another process, on this machine or elsewhere."""

import builtins
import contextlib
import secrets
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

from argosy.address import shard_target
from argosy.clock import Clock
from argosy.config import Settings
from argosy.errors import GraphInputError
from argosy.graph import chunks, messages
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
    Member,
    Neighborhood,
    Node,
    Source,
    Stats,
    Summary,
    WriteKey,
)
from argosy.graph.ops import Op, check_ops
from argosy.rpc import shard_pb2 as pb
from argosy.rpc.call_client import Caller, Method
from argosy.rpc.tls import channel_credentials, read_tls
from argosy.secret import load_keys

SHARD: Final = pb.DESCRIPTOR.services_by_name["Shard"]


def _method(name: str, *, writes: bool = False) -> Method:
    return Method(SHARD.methods_by_name[name], writes)


_IDENTIFY: Final = _method("Identify")
_CREATE: Final = _method("Create", writes=True)
_DROP: Final = _method("Drop", writes=True)
_APPLY: Final = _method("Apply", writes=True)
_GET_NODES: Final = _method("GetNodes")
_NEIGHBORS: Final = _method("Neighbors")
_SCAN: Final = _method("Scan")
_QUERY: Final = _method("Query")
_SEARCH: Final = _method("Search")
_SUMMARY: Final = _method("Summary")
_BULK_LOAD: Final = _method("BulkLoad", writes=True)
_LIST: Final = _method("List")
_STATS: Final = _method("Stats")
_EXPORT: Final = _method("Export")
_IMPORT: Final = _method("Import", writes=True)


class _Written:
    """Raises GraphInputError in the block for what no message holds: text that is no Unicode, numbers out of range."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ValueError | TypeError | OverflowError):
            raise GraphInputError(f"this cannot be sent: {error}") from error


_WRITTEN: Final = _Written()


class GrpcConnect:
    """Makes transports to members (graph/transport.py, Connect)."""

    def __init__(self, key: bytes, clock: Clock, settings: Settings) -> None:
        """key: Keys.shards. Raises SettingError when a file of TLS cannot be read."""
        self._key = key
        self._clock = clock
        self._size_bytes_max = settings.shard_message_size_bytes_max
        tls = read_tls(settings.shard_tls_cert, settings.shard_tls_key, settings.shard_tls_ca)
        self._credentials = channel_credentials(tls)

    def to(self, member: Member) -> "GrpcTransport":
        caller = Caller(
            shard_target(member.endpoint),
            self._key,
            self._clock,
            message_size_bytes_max=self._size_bytes_max,
            credentials=self._credentials,
        )
        return GrpcTransport(caller, member.member_id)


def connect_to_shards(settings: Settings, clock: Clock) -> GrpcConnect:
    """Return what makes transports with the secret of the fleet. Raises SettingError."""
    keys = load_keys(settings.graph_service_auth_secret, settings.argosy_data_dir)
    return GrpcConnect(keys.shards, clock, settings)


class GrpcTransport:
    """One shard (graph/transport.py, Transport)."""

    def __init__(self, caller: Caller, member_id: uuid.UUID) -> None:
        self._caller = caller
        self._member_id = member_id

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        identity = await self._caller.ask(_IDENTIFY, NOBODY, pb.IdentifyRequest(), deadline_s)
        return uuid.UUID(bytes=identity.member_id)

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        with _WRITTEN:
            request = pb.CreateRequest(graph=messages.graph_to_pb(ref))
        await self._ask(_CREATE, request, deadline_s)

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None:
        with _WRITTEN:
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
        with _WRITTEN:
            request = pb.ApplyRequest(
                graph=messages.graph_to_pb(ref),
                ops=map(messages.op_to_pb, ops),
                key=key.key,
                key_made_at_ms=key.made_at_ms,
                token=None if token is None else messages.token_to_pb(token),
                source=messages.source_to_pb(source),
            )
        return messages.applied_of_pb(await self._ask(_APPLY, request, deadline_s))

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        with _WRITTEN:
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
        with _WRITTEN:
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
        with _WRITTEN:
            request = pb.ScanRequest(graph=messages.graph_to_pb(ref), label=label, after=after, limit=limit)
        return (await chunks.facts_of_pb(self._read(_SCAN, request, deadline_s))).nodes

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]:
        with _WRITTEN:
            request = pb.ScanRequest(graph=messages.graph_to_pb(ref), edges=True, edges_after=after, limit=limit)
        return (await chunks.facts_of_pb(self._read(_SCAN, request, deadline_s))).edges

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        with _WRITTEN:
            request = pb.QueryRequest(
                graph=messages.graph_to_pb(ref),
                cypher=cypher,
                params=messages.params_to_pb(params),
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
        with _WRITTEN:
            request = pb.SearchRequest(
                graph=messages.graph_to_pb(ref),
                text=text,
                vector=None if vector is None else pb.Vector(name=vector[0], values=vector[1]),
                limit=limit,
            )
        return messages.hits_of_pb(await self._ask(_SEARCH, request, deadline_s))

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        with _WRITTEN:
            request = pb.SummaryRequest(graph=messages.graph_to_pb(ref))
        return messages.summary_of_pb(await self._ask(_SUMMARY, request, deadline_s))

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied:
        with _WRITTEN:
            first = pb.BulkLoadRequest(graph=messages.graph_to_pb(ref), source=messages.source_to_pb(source))

        async def requests() -> AsyncIterator[pb.BulkLoadRequest]:
            yield first
            async for ops in batches:
                check_ops(ops)
                with _WRITTEN:
                    request = pb.BulkLoadRequest(ops=map(messages.op_to_pb, ops))
                yield request

        response = await self._caller.send(_BULK_LOAD, self._member_id, requests(), deadline_s)
        return messages.applied_of_pb(response)

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> builtins.list[tuple[GraphName, Stats]]:
        with _WRITTEN:
            behind = None if after is None else pb.Graph(tenant=after.tenant, graph=after.graph)
            request = pb.ListRequest(after=behind, limit=limit)
        parts = self._caller.read(_LIST, NOBODY, request, deadline_s)
        return [messages.stats_of_pb(each) async for part in parts for each in part.graphs]

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        with _WRITTEN:
            request = pb.StatsRequest(graph=messages.graph_to_pb(ref))
        return messages.stats_of_pb((await self._ask(_STATS, request, deadline_s)).stats)[1]

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncGenerator[bytes, None]:
        with _WRITTEN:
            request = pb.ExportRequest(graph=messages.graph_to_pb(ref))
        async with contextlib.aclosing(self._read(_EXPORT, request, deadline_s)) as parts:
            async for part in parts:
                yield part.lines

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None:
        with _WRITTEN:
            first = pb.ImportRequest(graph=messages.graph_to_pb(ref))

        async def requests() -> AsyncIterator[pb.ImportRequest]:
            yield first
            async for part in chunks.joined(lines):
                yield pb.ImportRequest(lines=part)

        await self._caller.send(_IMPORT, self._member_id, requests(), deadline_s)

    async def close(self) -> None:
        await self._caller.close()

    async def _ask(self, method: Method, request: Any, deadline_s: float) -> Any:
        return await self._caller.ask(method, self._member_id, request, deadline_s)

    def _read(self, method: Method, request: Any, deadline_s: float) -> Any:
        return self._caller.read(method, self._member_id, request, deadline_s)
