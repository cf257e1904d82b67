"""The views of a shard: one for each graph that is asked in Cypher, made when it is asked first.

Rules:
- There are at most so many views, and they take so much memory together: the one that was not used for longest goes. A
  view in use stays.
- A view that ended, or fell behind, is forgotten, and the next query has a new one. After a build that failed there is
  a pause, in which queries have its error.
- A query whose view ended three times in a row is refused: see lost_queries.py.
- Building a view is no part of a query's deadline: it goes on when the query that began it has reached that. Few are
  built at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, GraphTooLargeError, ShardBusyError, ViewLostError
from argosy.graph.facts import Answer, GraphName, GraphRef
from argosy.graph.ops import Op
from argosy.shards.builds import Builds
from argosy.shards.deadline import Deadline
from argosy.shards.kept_view import KeptView
from argosy.shards.lost_queries import LostQueries
from argosy.shards.view import ViewMaker

_PAUSE_S: Final = 5.0  # after a build that failed: a graph that is too large for a view is not read all the time
_FAILED_MAX: Final = 1_000  # that are remembered: one that is forgotten is built again before its pause is over


class ViewBounds(NamedTuple):
    """Bounds of views. count_max, memory_bytes_max: of all views. behind_size_bytes_max: of what one view has not taken
    in yet.
    """

    count_max: int
    memory_bytes_max: int
    behind_size_bytes_max: int


class KeptViews:
    """The views of a shard's graphs, as many as fit. Used on one event loop."""

    def __init__(self, maker: ViewMaker, builds: Builds, bounds: ViewBounds, clock: Clock) -> None:
        self._maker = maker
        self._builds = builds
        self._bounds = bounds
        self._clock = clock
        self._lost_queries = LostQueries()
        self._views: OrderedDict[GraphName, KeptView] = OrderedDict()
        self._failed: OrderedDict[GraphName, tuple[float, ArgosyError]] = OrderedDict()
        self._runs: dict[KeptView, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return len(self._views)

    @property
    def memory_bytes(self) -> int:
        return sum(each.view.memory_bytes for each in self._views.values())

    async def query(
        self,
        ref: GraphRef,
        cypher: str,
        params: dict[str, Any],
        *,
        row_limit: int,
        size_bytes_max: int,
        deadline: Deadline,
    ) -> Answer:
        """Answer a query with all that is committed by now, of a graph that the caller knows to be here."""
        name = GraphName(ref.tenant, ref.graph)
        kept = self._of(name, ref)
        kept.users += 1
        try:
            await kept.catch_up(deadline)
            answer = await kept.view.query(
                cypher, params, timeout_s=deadline.left_s, row_limit=row_limit, size_bytes_max=size_bytes_max
            )
            self._lost_queries.answered(name, cypher)
            return answer
        except ViewLostError as error:
            if kept.is_built and self._lost_queries.lost(name, cypher):
                raise GraphTooLargeError("the query ended what answers it three times: it takes too much") from error
            raise
        finally:
            kept.users -= 1
            self._tidy(name, kept)

    def committed(self, ref: GraphRef, ops: Sequence[Op], version: int, size_bytes: int) -> None:
        """Tell the graph's view of a batch. Called in the order of commits."""
        kept = self._views.get(GraphName(ref.tenant, ref.graph))
        if kept is not None and kept.ref.incarnation == ref.incarnation:
            kept.committed(ops, version, size_bytes)

    def forget(self, ref: GraphRef) -> None:
        """End the view of this life of a graph, also for queries that it answers at this moment."""
        name = GraphName(ref.tenant, ref.graph)
        self._failed.pop(name, None)
        kept = self._views.get(name)
        if kept is not None and kept.ref.incarnation == ref.incarnation:
            self._remove(name, kept, ViewLostError("the graph was replaced or removed"))
            self._close(kept)

    async def close(self) -> None:
        self._views.clear()
        telemetry.SHARD_VIEWS.set(0)
        for kept in list(self._runs):
            kept.end(ViewLostError("this shard is stopping"))
            self._close(kept)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._builds.close()

    def _of(self, name: GraphName, ref: GraphRef) -> KeptView:
        """Return the view of this life of a graph. A new one is begun when there is none."""
        kept = self._views.get(name)
        if kept is not None:
            if kept.ref.incarnation == ref.incarnation and not kept.is_over:
                self._views.move_to_end(name)
                return kept
            self._remove(name, kept, ViewLostError("the view of the graph ended"))
        if name in self._failed:
            until_s, fault = self._failed[name]
            if self._clock.monotonic_s() < until_s:
                raise fault.with_traceback(None)
            del self._failed[name]
        while len(self._views) >= self._bounds.count_max:
            if not self._evict():
                raise ShardBusyError(f"all {len(self._views)} views of this shard are in use")
        kept = KeptView(ref, self._maker.make(), self._builds, self._bounds.behind_size_bytes_max)
        self._views[name] = kept
        self._runs[kept] = asyncio.get_running_loop().create_task(self._run(name, kept))
        telemetry.SHARD_VIEWS.set(len(self._views))
        telemetry.SHARD_VIEW_BUILDS.inc()
        return kept

    async def _run(self, name: GraphName, kept: KeptView) -> None:
        """Keep a view until it is over."""
        await kept.run()
        if kept.fault is not None and not kept.is_built and self._views.get(name) is kept:
            self._failed[name] = (self._clock.monotonic_s() + _PAUSE_S, kept.fault)
            while len(self._failed) > _FAILED_MAX:
                self._failed.popitem(last=False)
        self._tidy(name, kept)

    def _tidy(self, name: GraphName, kept: KeptView) -> None:
        """Let go of a view that is over, and of those that are too much."""
        if kept.is_over:
            if self._views.get(name) is kept:
                telemetry.SHARD_VIEWS_LOST.inc()
            self._remove(name, kept, ViewLostError("the view of the graph ended: it is built again"))
        while len(self._views) > 1 and self.memory_bytes > self._bounds.memory_bytes_max and self._evict():
            pass

    def _evict(self) -> bool:
        """Let go of the view that was not used for longest. Returns whether there was one that is not in use."""
        for name, kept in self._views.items():
            if not kept.users:
                self._remove(name, kept, ViewLostError("another view needed the room"))
                return True
        return False

    def _remove(self, name: GraphName, kept: KeptView, fault: ArgosyError) -> None:
        """Give a view to no further query, and end it when no query uses it."""
        if self._views.get(name) is kept:
            del self._views[name]
            telemetry.SHARD_VIEWS.set(len(self._views))
        kept.end(fault)
        if not kept.users:
            self._close(kept)

    def _close(self, kept: KeptView) -> None:
        if run := self._runs.pop(kept, None):
            run.cancel()
            closing = asyncio.get_running_loop().create_task(_end(run, kept))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _end(run: "asyncio.Task[None]", kept: KeptView) -> None:
    """End a view once nothing follows its graph any more."""
    await asyncio.wait({run})
    await kept.view.close()
