"""A shard for tests of what lies between it and its callers: an engine, asked one call after the other. What an engine
has no answer to, it answers as it was told to.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from argosy.clock import SystemClock
from argosy.graph.acl import ALL, GraphAccess, GraphAcl
from argosy.graph.copies import Copies
from argosy.graph.facts import (
    LIST_MAX,
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
from argosy.graph.ops import Op, UpsertEdge, check_ops
from argosy.shards.engine import Engine
from tests.shards.engines import never


class PlainShard:
    """argosy/graph/transport.py, Transport. exports: what an export has. raises: what a
    query ends with. waits: what a query waits for. begun, ended: a query has. keys: of batches.
    """

    copies: Copies

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.keys: list[WriteKey | None] = []
        self.queries: list[tuple[str, dict[str, Any]]] = []
        self.searches: list[tuple[str, tuple[str, Sequence[float]] | None]] = []
        self.hits: list[Hit] = []
        self.schema = Summary([], [])
        self.answer = Answer(["n"], [[1]], is_cut=False)
        self.exports: AsyncGenerator[bytes, None]
        self.restored: list[bytes] = []
        self.raises: Exception | None = None
        self.waits: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        return self._engine.member_id

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        self._engine.create(ref)

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None:
        self._engine.drop(ref)

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
        self.keys.append(key)
        return self._engine.graph(ref).apply(
            ref, ops, key=key, token=token, source=source, now_ms=SystemClock().unix_ms()
        )

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        return self._engine.graph(ref).get_nodes(ref, ids)

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
        graph = self._engine.graph(ref)
        return graph.neighbors(ref, ids, types=types, direction=direction, depth=depth, limit=limit, interrupt=never)

    async def scan(
        self, ref: GraphRef, *, label: str = "", after: str = "", limit: int, deadline_s: float
    ) -> list[Node]:
        return self._engine.graph(ref).scan(ref, label, after, limit, never)

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]:
        return self._engine.graph(ref).scan_edges(ref, after, limit, never)

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        self.queries.append((cypher, params))
        self.begun.set()
        try:
            if self.waits is not None:
                await self.waits.wait()
            if self.raises is not None:
                raise self.raises
            return self.answer
        finally:
            self.ended.set()

    async def search(
        self,
        ref: GraphRef,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float,
    ) -> list[Hit]:
        self.searches.append((text, vector))
        return self.hits

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        return self.schema

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied:
        self._engine.graph(ref)
        loaded = [op async for ops in batches for op in ops]
        loaded.sort(key=lambda op: isinstance(op, UpsertEdge))
        return await self.apply(ref, loaded, key=None, token=None, source=source, deadline_s=deadline_s)

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        return self._engine.graph(ref).ingest(ref, batch, SystemClock().unix_ms(), lambda: False).fed

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> list[FeedState | None]:
        return self._engine.graph(ref).feeds(ref, names)

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        return GraphAccess(self._engine.graph(ref).acl(ref), ALL)

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        self._engine.graph(ref).set_acl(ref, acl)

    async def forget(self, ref: GraphRef, turns: ForgetTurns, *, deadline_s: float) -> Forgotten:
        raise NotImplementedError

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> list[tuple[GraphName, Stats]]:
        return self._engine.list(never, after, limit)

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        return self._engine.graph(ref).stats()

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(self.exports) as parts:
            async for part in parts:
                yield part

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None:
        self.restored = [part async for part in lines]

    async def close(self) -> None:
        pass
