"""A shard in this process: the graphs of an engine, asked as a Transport is.

What is here checks what a caller asks for, and hands it on: to writes.py, reads.py, streams.py and kept_views.py.
"""

import asyncio
import builtins
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Final

from argosy import crash_points, telemetry
from argosy.clock import Clock
from argosy.errors import ViewLostError
from argosy.graph.acl import ALL, GraphAccess, GraphAcl
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
from argosy.graph.forgetting import ForgetTurns, Forgotten, check_forget
from argosy.graph.ops import Op
from argosy.shards.bounds import ShardBounds
from argosy.shards.builds import Builds
from argosy.shards.copies import ShardCopies
from argosy.shards.deadline import Deadline
from argosy.shards.enforcement import Enforcement
from argosy.shards.engine import Batch, Engine, Ingested, Interrupt
from argosy.shards.forgetting import Forgetting
from argosy.shards.kept_views import KeptViews
from argosy.shards.limits import INLINE_OPS_MAX, check_name, check_page
from argosy.shards.reads import Reads
from argosy.shards.streams import Streams
from argosy.shards.threads import Threads
from argosy.shards.view import ViewMaker
from argosy.shards.writes import Writes

_OP_SIZE_BYTES: Final = 512  # of an operation in memory, beside its JSON
_NO_TENANT: Final = ""  # whose call it is that is about all: no tenant is called so


class Shard:
    """The graphs of an engine, from here to `end`. Made and used on one event loop. lists: whether it enforces them,
    which this one does not.
    """

    _ENFORCES: ClassVar[bool] = False

    def __init__(self, engine: Engine, maker: ViewMaker, bounds: ShardBounds, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self.lists: Final = Enforcement(clock, is_on=self._ENFORCES)
        self._limits = bounds.limits
        self._threads = Threads(
            "read", bounds.read_threads, waiting_max=bounds.read_queue_max, bound="SHARD_READ_QUEUE_MAX"
        )
        building = Threads("build", 1, waiting_max=bounds.views.count_max, bound="SHARD_VIEWS_MAX")
        builds = Builds(engine, building, clock, bounds.build_s)
        self._views = KeptViews(maker, builds, bounds.views, clock)
        self._writes = Writes(engine, self._views, bounds.writes, clock)
        self._reads = Reads(engine, self._threads, bounds.limits)
        self._streams = Streams(engine, self._writes, clock, bounds.streams)
        self.copies: Final = ShardCopies(engine, self._writes, clock, bounds.copies)
        self._forgetting = Forgetting(engine, self._threads, self._writes, clock)

    async def identify(self, *, deadline_s: float) -> uuid.UUID:
        return self._engine.member_id

    async def create(self, ref: GraphRef, *, deadline_s: float) -> None:
        deadline = self._deadline(ref, deadline_s)
        await self._writes.alone(ref, lambda: self._engine.create(ref), deadline)

    async def drop(self, ref: GraphRef, *, deadline_s: float) -> None:
        deadline = self._deadline(ref, deadline_s)
        await self._writes.alone(ref, lambda: self._engine.drop(ref), deadline, replaces=True)

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
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_key(key)
        if len(ops) <= INLINE_OPS_MAX:
            size_bytes = self._limits.check_batch(ops)
        else:
            size_bytes = await self._threads.run(ref.tenant, lambda _: self._limits.check_batch(ops), deadline)
        batch = Batch(ref, ops, key, token, source)
        return await self._writes.apply(batch, size_bytes + len(ops) * _OP_SIZE_BYTES, deadline)

    async def get_nodes(self, ref: GraphRef, ids: Sequence[str], *, deadline_s: float) -> list[Node | None]:
        self._limits.check_ids(ids)
        self.lists.check(ref.asker)
        if (found := self._reads.nodes_at_hand(ref, ids)) is not None:  # its names are those of a graph
            return found
        return await self._reads.get_nodes(ref, ids, self._deadline(ref, deadline_s))

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
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_ids(ids)
        self._limits.check_types(types)
        self._limits.check_depth(depth)
        self._limits.check_limit(limit)
        return await self._reads.neighbors(ref, ids, types, direction, depth, limit, deadline)

    async def scan(
        self, ref: GraphRef, *, label: str = "", after: str = "", limit: int, deadline_s: float
    ) -> list[Node]:
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_limit(limit)
        return await self._reads.scan(ref, label, after, limit, deadline)

    async def scan_edges(
        self, ref: GraphRef, *, after: tuple[str, str, str] = ("", "", ""), limit: int, deadline_s: float
    ) -> list[Edge]:
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_limit(limit)
        return await self._reads.scan_edges(ref, after, limit, deadline)

    async def query(
        self, ref: GraphRef, cypher: str, params: dict[str, Any], *, row_limit: int, deadline_s: float
    ) -> Answer:
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_limit(row_limit)
        self._limits.check_query(cypher, params)
        await self._check_here(ref, deadline)
        await self._writes.settle(ref, deadline)
        size_bytes_max = self._limits.answer_size_bytes_max
        try:
            return await self._views.query(
                ref, cypher, params, row_limit=row_limit, size_bytes_max=size_bytes_max, deadline=deadline
            )
        except ViewLostError:
            await self._check_here(ref, deadline)  # that the graph was dropped meanwhile says more
            raise

    async def search(
        self,
        ref: GraphRef,
        text: str,
        *,
        vector: tuple[str, Sequence[float]] | None = None,
        limit: int,
        deadline_s: float,
    ) -> list[Hit]:
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_limit(limit)
        self._limits.check_search(text, vector)
        return await self._reads.search(ref, text, vector, limit, deadline)

    async def summary(self, ref: GraphRef, *, deadline_s: float) -> Summary:
        deadline = self._deadline(ref, deadline_s)
        return await self._reads.summary(ref, deadline)

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], *, source: Source, deadline_s: float
    ) -> Applied:
        deadline = self._deadline(ref, deadline_s)
        return await self._streams.bulk_load(ref, batches, source, deadline)

    async def list(
        self, *, after: GraphName | None = None, limit: int = LIST_MAX, deadline_s: float
    ) -> builtins.list[tuple[GraphName, Stats]]:
        deadline = Deadline(self._clock, deadline_s)
        check_page(after, limit)
        return await self._threads.run(_NO_TENANT, lambda stop: self._engine.list(stop, after, limit), deadline)

    async def stats(self, ref: GraphRef, *, deadline_s: float) -> Stats:
        deadline = self._deadline(ref, deadline_s)
        return await self._reads.stats(ref, deadline)

    async def export(self, ref: GraphRef, *, deadline_s: float) -> AsyncIterator[bytes]:
        deadline = self._deadline(ref, deadline_s)
        async with aclosing(self._streams.export(ref, deadline)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def restore(self, ref: GraphRef, lines: AsyncIterator[bytes], *, deadline_s: float) -> None:
        deadline = self._deadline(ref, deadline_s)
        await self._streams.restore(ref, lines, deadline)

    async def ingest(self, ref: GraphRef, batch: FeedBatch, *, deadline_s: float) -> Fed:
        deadline = self._deadline(ref, deadline_s)
        size_bytes = self._limits.check_lines(batch)

        def work(interrupt: Interrupt) -> Ingested:
            return self._engine.graph(ref).ingest(ref, batch, self._clock.unix_ms(), interrupt)

        def then(ingested: Ingested) -> None:
            crash_points.reach("feed_committed")
            telemetry.SHARD_FEED_LINES.labels(outcome="applied").inc(ingested.applied)
            telemetry.SHARD_FEED_LINES.labels(outcome="rejected").inc(ingested.rejected)
            if ingested.ops:
                self._views.committed(ref, ingested.ops, ingested.fed.version, ingested.size_bytes)

        return (await self._writes.feed(ref, work, deadline, then=then, size_bytes=size_bytes)).fed

    async def feeds(self, ref: GraphRef, names: Sequence[str], *, deadline_s: float) -> builtins.list[FeedState | None]:
        deadline = self._deadline(ref, deadline_s)
        self._limits.check_feeds(names)
        return await self._reads.feeds(ref, names, deadline)

    async def forget(self, ref: GraphRef, turns: ForgetTurns, *, deadline_s: float) -> Forgotten:
        deadline = self._deadline(ref, deadline_s)
        check_forget(turns)
        return await self._forgetting.forget(ref, turns, deadline)

    async def get_acl(self, ref: GraphRef, *, deadline_s: float) -> GraphAccess:
        return GraphAccess(await self._reads.acl(ref, self._deadline(ref, deadline_s)), ALL)

    async def set_acl(self, ref: GraphRef, acl: GraphAcl | None, *, deadline_s: float) -> None:
        await self._set_acl(ref, acl, self._deadline(ref, deadline_s))

    async def _set_acl(
        self, ref: GraphRef, acl: GraphAcl | None, deadline: Deadline, *, is_first: bool = False
    ) -> None:
        await self._writes.alone(ref, lambda: self._engine.graph(ref).set_acl(ref, acl, is_first=is_first), deadline)

    async def drain(self, bound_s: float) -> None:
        """Take no more writes, and commit those that wait, in bounded time."""
        await self._writes.close(bound_s)

    async def close(self) -> None:
        """Do nothing: a caller that lets go of a shard in its process does not end it."""

    async def end(self) -> None:
        """End everything that is under way, and close the engine."""
        self._streams.close()
        await self.copies.close()
        await self._writes.close(0.0)
        await self._views.close()
        await self._threads.close()
        await asyncio.get_running_loop().run_in_executor(None, self._engine.close)

    async def measure(self) -> None:
        """End copies that nobody goes on with, and bring those metrics up to date that change by themselves."""
        await self.copies.expire()
        loop = asyncio.get_running_loop()
        telemetry.SHARD_WAL_SIZE_BYTES.set(await loop.run_in_executor(None, lambda: self._engine.wal_size_bytes))
        telemetry.SHARD_GRAPHS_OPEN.set(self._engine.open_count)
        telemetry.SHARD_VIEW_MEMORY_BYTES.set(self._views.memory_bytes)
        telemetry.SHARD_THREADS_BUSY.labels(kind="read").set(self._threads.count)
        telemetry.SHARD_THREADS_BUSY.labels(kind="stream").set(self._streams.count)

    async def _check_here(self, ref: GraphRef, deadline: Deadline) -> None:
        """Raise WrongOwnerError when the graph cannot be read here."""
        if self._reads.nodes_at_hand(ref, ()) is None:
            await self._reads.get_nodes(ref, (), deadline)

    def _deadline(self, ref: GraphRef, deadline_s: float) -> Deadline:
        """Return the deadline of a call that is about this graph. Raises GraphInputError for what is no name, and
        ListsDisagreeError for lists that are not enforced here.
        """
        check_name(ref)
        self.lists.check(ref.asker)
        return Deadline(self._clock, deadline_s)
