"""One graph, by its name: the calls of a transport without `ref`, and with a deadline when nobody says one.

What is tried again is said with each call: argosy/graph/line.py.
"""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from argosy.graph.acl import GraphAccess, GraphAcl
from argosy.graph.asker import Asker
from argosy.graph.embedder import Embedder
from argosy.graph.facts import (
    NO_SOURCE,
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
from argosy.graph.line import Again
from argosy.graph.ops import Op
from argosy.graph.transport import Transport

T = TypeVar("T")


class Asked(Protocol):
    """What a graph is asked through: argosy/graph/graphs.py."""

    timeout_s: float
    embedder: Embedder | None

    async def ask(
        self,
        name: GraphName,
        work: Callable[[Transport, GraphRef, float], Awaitable[T]],
        again: Again,
        deadline_s: float | None,
        incarnation: uuid.UUID | None = None,
        *,
        is_quick: bool = False,
    ) -> T: ...

    def export(self, name: GraphName, deadline_s: float, asker: Asker | None = None) -> AsyncGenerator[bytes, None]: ...


class BoundGraph:
    """A graph of a tenant. Every call raises GraphNotFoundError, beside what the transport's raises.

    incarnation: the only one that is meant; None: whichever has the name. asker: who asks; None: nobody says.
    """

    __slots__ = ("_asker", "_graphs", "_incarnation", "name")

    def __init__(
        self, graphs: Asked, name: GraphName, incarnation: uuid.UUID | None = None, asker: Asker | None = None
    ) -> None:
        self._graphs = graphs
        self._incarnation = incarnation
        self._asker = asker
        self.name = name

    async def apply(
        self,
        ops: Sequence[Op],
        *,
        key: WriteKey | None = None,
        token: FencingToken | None = None,
        source: Source = NO_SOURCE,
        deadline_s: float | None = None,
    ) -> Applied:
        """Apply a batch. Without a key it is not sent again once it may have been applied: OutcomeUnknownError."""
        return await self._ask(
            lambda shard, ref, left_s: shard.apply(ref, ops, key=key, token=token, source=source, deadline_s=left_s),
            Again.UNCHANGED if key is None else Again.ALWAYS,
            deadline_s,
            is_quick=True,
        )

    async def get_nodes(self, ids: Sequence[str], *, deadline_s: float | None = None) -> list[Node | None]:
        return await self._read(
            lambda shard, ref, left_s: shard.get_nodes(ref, ids, deadline_s=left_s), deadline_s, is_quick=True
        )

    async def neighbors(
        self,
        ids: Sequence[str],
        *,
        types: Sequence[str] = (),
        direction: Direction = Direction.BOTH,
        depth: int = 1,
        limit: int,
        deadline_s: float | None = None,
    ) -> Neighborhood:
        return await self._read(
            lambda shard, ref, left_s: shard.neighbors(
                ref, ids, types=types, direction=direction, depth=depth, limit=limit, deadline_s=left_s
            ),
            deadline_s,
        )

    async def scan(
        self, *, label: str = "", after: str = "", limit: int, deadline_s: float | None = None
    ) -> list[Node]:
        return await self._read(
            lambda shard, ref, left_s: shard.scan(ref, label=label, after=after, limit=limit, deadline_s=left_s),
            deadline_s,
        )

    async def scan_edges(
        self, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float | None = None
    ) -> list[Edge]:
        return await self._read(
            lambda shard, ref, left_s: shard.scan_edges(ref, after=after, limit=limit, deadline_s=left_s), deadline_s
        )

    async def query(
        self, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float | None = None
    ) -> Answer:
        return await self._read(
            lambda shard, ref, left_s: shard.query(ref, cypher, params, row_limit=row_limit, deadline_s=left_s),
            deadline_s,
        )

    async def search(
        self,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float | None = None,
    ) -> list[Hit]:
        """Find nodes by the words of a text, by a vector, or by both. Where there is an embedder, a text without a
        vector gets one, before the deadline begins.
        """
        if vector is None and (embedder := self._graphs.embedder) is not None:
            vector = await embedder.vector_of(text)
        return await self._read(
            lambda shard, ref, left_s: shard.search(ref, text, vector=vector, limit=limit, deadline_s=left_s),
            deadline_s,
        )

    async def summary(self, *, deadline_s: float | None = None) -> Summary:
        return await self._read(lambda shard, ref, left_s: shard.summary(ref, deadline_s=left_s), deadline_s)

    async def stats(self, *, deadline_s: float | None = None) -> Stats:
        return await self._read(lambda shard, ref, left_s: shard.stats(ref, deadline_s=left_s), deadline_s)

    async def bulk_load(
        self,
        batches: AsyncIterator[Sequence[Op]],
        *,
        source: Source = NO_SOURCE,
        deadline_s: float | None = None,
    ) -> Applied:
        return await self._ask(
            lambda shard, ref, left_s: shard.bulk_load(ref, batches, source=source, deadline_s=left_s),
            Again.NEVER,
            deadline_s,
        )

    async def get_acl(self, *, deadline_s: float | None = None) -> GraphAccess:
        """Return the graph's access control list, and what whoever asks may do."""
        return await self._read(
            lambda shard, ref, left_s: shard.get_acl(ref, deadline_s=left_s), deadline_s, is_quick=True
        )

    async def set_acl(self, acl: GraphAcl | None, *, deadline_s: float | None = None) -> None:
        """Set the list, or remove it. Done again, it changes nothing."""
        await self._ask(lambda shard, ref, left_s: shard.set_acl(ref, acl, deadline_s=left_s), Again.ALWAYS, deadline_s)

    async def ingest(self, batch: FeedBatch, *, deadline_s: float | None = None) -> Fed:
        """Do the lines of a feed that are next, or the first of them. Sent again after any failure, it does nothing
        twice.
        """
        return await self._ask(
            lambda shard, ref, left_s: shard.ingest(ref, batch, deadline_s=left_s),
            Again.ALWAYS,
            deadline_s,
        )

    async def feeds(self, names: Sequence[str], *, deadline_s: float | None = None) -> list[FeedState | None]:
        return await self._read(
            lambda shard, ref, left_s: shard.feeds(ref, names, deadline_s=left_s), deadline_s, is_quick=True
        )

    async def forget(self, turns: ForgetTurns, *, deadline_s: float | None = None) -> Forgotten:
        """Delete what turns wrote last; sent again after any failure, it goes on, and counts what is left."""
        return await self._ask(
            lambda shard, ref, left_s: shard.forget(ref, turns, deadline_s=left_s),
            Again.ALWAYS,
            deadline_s,
        )

    def export(self, *, deadline_s: float | None = None) -> AsyncGenerator[bytes, None]:
        """Yield a consistent copy, as lines with their line ends."""
        deadline_s = self._graphs.timeout_s if deadline_s is None else deadline_s
        return self._graphs.export(self.name, deadline_s, self._asker)

    async def _read(
        self,
        work: Callable[[Transport, GraphRef, float], Awaitable[T]],
        deadline_s: float | None,
        *,
        is_quick: bool = False,
    ) -> T:
        return await self._ask(work, Again.ALWAYS, deadline_s, is_quick=is_quick)

    async def _ask(
        self,
        work: Callable[[Transport, GraphRef, float], Awaitable[T]],
        again: Again,
        deadline_s: float | None,
        *,
        is_quick: bool = False,
    ) -> T:
        asker = self._asker
        asked = work if asker is None else lambda shard, ref, left_s: work(shard, ref._replace(asker=asker), left_s)
        return await self._graphs.ask(self.name, asked, again, deadline_s, self._incarnation, is_quick=is_quick)
