"""A shard, as whoever asks for a sealed graph has it: values are sealed on their way there, and opened on the way back.

Rules:
- The shard has sealed values alone, and nothing with which to open them: not in its memory, its files, its copies.
  So it cannot do what needs them in the clear. That is refused here, and never reaches it: Cypher, words to search
  for, and lines that are uploaded, which wait, and stay where they are refused, in the clear.
- Ids, labels, types, names of props, vectors, access control lists, and sizes are in the clear.
- A batch is sealed anew each time it is sent, so its key brings the digest of what was asked for.
- What one answer or batch has is sealed and opened in a thread when it is much.
"""

import asyncio
import builtins
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar

from argosy.errors import StoreUnavailableError
from argosy.graph.acl import GraphAccess, GraphAcl
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
from argosy.graph.ops import Op, check_ops
from argosy.graph.sealed_lines import opened_lines, sealed_lines
from argosy.graph.sealed_props import Fact, digest_of, opened_facts, sealed_fact, sealed_ops
from argosy.graph.sealed_refusals import NO_LINES, refused
from argosy.graph.transport import Transport
from argosy.seal.codec import Codec, Sealer
from argosy.seal.errors import GraphSealedError

T = TypeVar("T")

_INLINE_MAX: Final = 100  # operations or facts: some milliseconds


class SealedShard:
    """argosy/graph/transport.py, Transport: for calls about sealed graphs. codec: has the keys of their tenants."""

    def __init__(self, shard: Transport, codec: Codec) -> None:
        self._shard = shard
        self._codec = codec

    @property
    def copies(self) -> Copies:
        return self._shard.copies

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        return await self._shard.identify(deadline_s=deadline_s)

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        await self._shard.create(ref, deadline_s=deadline_s)

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None:
        await self._shard.drop(ref, deadline_s=deadline_s)

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
        sealer = await _in_time(sealer_of(self._codec, ref.tenant), deadline_s)
        sealed = await _sealed(ops, sealer, ref)
        if key is not None:
            key = key._replace(digest=await _done(len(ops), lambda: digest_of(ops, sealer)))
        return await self._shard.apply(ref, sealed, key=key, token=token, source=source, deadline_s=deadline_s)

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        found = await self._shard.get_nodes(ref, ids, deadline_s=deadline_s)
        opened = iter(await self._opened(deadline_s, ref, [node for node in found if node is not None]))
        return [None if node is None else next(opened) for node in found]

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
        found = await self._shard.neighbors(
            ref, ids, types=types, direction=direction, depth=depth, limit=limit, deadline_s=deadline_s
        )
        nodes, edges = (
            await self._opened(deadline_s, ref, found.nodes),
            await self._opened(deadline_s, ref, found.edges),
        )
        return Neighborhood(nodes, edges, found.is_cut)

    async def scan(
        self, ref: GraphRef, *, label: str = "", after: str = "", limit: int, deadline_s: float
    ) -> list[Node]:
        found = await self._shard.scan(ref, label=label, after=after, limit=limit, deadline_s=deadline_s)
        return await self._opened(deadline_s, ref, found)

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]:
        return await self._opened(
            deadline_s, ref, await self._shard.scan_edges(ref, after=after, limit=limit, deadline_s=deadline_s)
        )

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        raise refused(ref.graph, "no query in Cypher can be answered about it")

    async def search(
        self,
        ref: GraphRef,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float,
    ) -> list[Hit]:
        if vector is None or text.strip():
            raise refused(ref.graph, "no words can be searched for in it: a vector alone finds nodes")
        hits = await self._shard.search(ref, "", vector=vector, limit=limit, deadline_s=deadline_s)
        opened = await self._opened(deadline_s, ref, [hit.node for hit in hits])
        return [hit._replace(node=node) for hit, node in zip(hits, opened, strict=True)]

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        return await self._shard.summary(ref, deadline_s=deadline_s)

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied:
        sealer = await _in_time(sealer_of(self._codec, ref.tenant), deadline_s)
        sealed = _sealed_batches(batches, sealer, ref)
        return await self._shard.bulk_load(ref, sealed, source=source, deadline_s=deadline_s)

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> builtins.list[tuple[GraphName, Stats]]:
        return await self._shard.list(after=after, limit=limit, deadline_s=deadline_s)

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        return await self._shard.stats(ref, deadline_s=deadline_s)

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncGenerator[bytes, None]:
        """Yield a copy in the clear: who may export may read."""
        chunks = self._shard.export(ref, deadline_s=deadline_s)
        async with aclosing(opened_lines(chunks, ref, self._codec)) as parts:
            async for part in parts:
                yield part

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None:
        sealer = await _in_time(sealer_of(self._codec, ref.tenant), deadline_s)
        await self._shard.restore(ref, sealed_lines(lines, ref, sealer), deadline_s=deadline_s)

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        raise refused(ref.graph, NO_LINES)

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> builtins.list[FeedState | None]:
        return await self._shard.feeds(ref, names, deadline_s=deadline_s)

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        return await self._shard.get_acl(ref, deadline_s=deadline_s)

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        await self._shard.set_acl(ref, acl, deadline_s=deadline_s)

    async def forget(self, ref: GraphRef, turns: ForgetTurns, *, deadline_s: float) -> Forgotten:
        return await self._shard.forget(ref, turns, deadline_s=deadline_s)

    async def close(self) -> None:
        await self._shard.close()

    async def _opened(self, deadline_s: float, ref: GraphRef, facts: Sequence[Fact]) -> builtins.list[Fact]:
        sealed = await _done(len(facts), lambda: [sealed_fact(each) for each in facts])
        values = [value for each in sealed for value in each.values(ref.tenant)]
        opener = await _in_time(self._codec.opener(values), deadline_s)
        return await _done(len(facts), lambda: opened_facts(facts, sealed, opener, ref))


async def sealer_of(codec: Codec, tenant: str) -> Sealer:
    """Return who seals for a tenant. Raises GraphSealedError when this process seals nothing, StoreUnavailableError."""
    sealer = (await codec.sealers((tenant,))).get(tenant)
    if sealer is None:
        raise GraphSealedError(
            "nothing is sealed by this process, so it writes to no sealed graph: PAYLOAD_KEYS is not set, or "
            "PAYLOAD_SEALING=0 is"
        )
    return sealer


async def _sealed_batches(
    batches: AsyncIterator[Sequence[Op]], sealer: Sealer, ref: GraphRef
) -> AsyncGenerator[Sequence[Op], None]:
    async for ops in batches:
        yield await _sealed(ops, sealer, ref)


async def _sealed(ops: Sequence[Op], sealer: Sealer, ref: GraphRef) -> list[Op]:
    check_ops(ops)
    return await _done(len(ops), lambda: sealed_ops(ops, sealer, ref))


async def _in_time(asked: Awaitable[T], deadline_s: float) -> T:
    """Return what is asked about keys. Raises StoreUnavailableError at the deadline, which is that of the call to the
    shard, too: who needs keys that this process does not have yet waits longer, once.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await asked
    except TimeoutError:
        raise StoreUnavailableError("the keys of a sealed graph were not read in time") from None


async def _done(count: int, work: Callable[[], T]) -> T:
    """Return what the work comes to, which concerns so many operations or facts."""
    return work() if count <= _INLINE_MAX else await asyncio.to_thread(work)
