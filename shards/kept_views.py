"""The views of a shard: one for each graph that is asked in Cypher, made when it is asked first.

Rules:
- There are at most so many views, and they take so much memory together: see view_bounds.py. A view at work stays.
- A query whose view may not work yet waits for its turn, up to its deadline: see fair_slots.py, whose slots views have
  while they are at work, and while they are built. Queries of one graph share a view, and wait one behind the other.
- A view is at work for as long as a query runs, also when its caller has left.
- Idle views take in what is written, and are counted again with each batch: they may be over the bound by as much as
  they take in at that moment.
- A view that ended, or fell behind, is forgotten, and the next query has a new one. What could not be built is refused
  for a while: see unbuilt.py.
- A query whose view ended three times in a row is refused: see lost_queries.py.
- Building a view is no part of a query's deadline: it goes on when the query that began it has reached that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from typing import Any
from weakref import WeakValueDictionary

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, GraphTooLargeError, ShardBusyError, ViewLostError
from argosy.graph.facts import Answer, GraphName, GraphRef
from argosy.graph.ops import Op
from argosy.shards.builds import Builds
from argosy.shards.deadline import Deadline
from argosy.shards.fair_slots import FairSlots
from argosy.shards.kept_view import KeptView
from argosy.shards.lost_queries import LostQueries
from argosy.shards.unbuilt import Unbuilt
from argosy.shards.view import ViewMaker
from argosy.shards.view_bounds import ViewBounds
from argosy.shards.view_slots import ViewSlots


class KeptViews:
    """The views of a shard's graphs, as many as fit. Used on one event loop."""

    def __init__(self, maker: ViewMaker, builds: Builds, bounds: ViewBounds, clock: Clock) -> None:
        self._maker = maker
        self._builds = builds
        self._bounds = bounds
        self._clock = clock
        self._lost_queries = LostQueries()
        self._unbuilt = Unbuilt()
        self._working = _slots("views at work", bounds.working_max, bounds)
        self._building = _slots("views to build", bounds.builds_max, bounds)
        self._turns: WeakValueDictionary[GraphName, asyncio.Lock] = WeakValueDictionary()
        self._views: OrderedDict[GraphName, KeptView] = OrderedDict()
        self._runs: dict[KeptView, asyncio.Task[None]] = {}  # also of those that were let go of and still answer
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return len(self._views)

    @property
    def memory_bytes(self) -> int:
        return sum(each.view.memory_bytes for each in self._runs)

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
        kept = await self._in_turn(name, ref, deadline)
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
        self._unbuilt.committed(ref, ops)
        kept = self._views.get(GraphName(ref.tenant, ref.graph))
        if kept is not None and kept.ref.incarnation == ref.incarnation:
            kept.committed(ops, version, size_bytes)
            self._make_room()

    def forget(self, ref: GraphRef) -> None:
        """End the view of this life of a graph, also for queries that it answers at this moment."""
        name = GraphName(ref.tenant, ref.graph)
        self._unbuilt.forget(ref)
        kept = self._views.get(name)
        if kept is not None and kept.ref.incarnation == ref.incarnation:
            self._remove(name, kept, ViewLostError("the graph was replaced or removed"))
            self._close(kept)

    async def close(self) -> None:
        self._building.close()
        self._working.close()
        self._views.clear()
        telemetry.SHARD_VIEWS.set(0)
        for kept in list(self._runs):
            kept.end(ViewLostError("this shard is stopping"))
            self._close(kept)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._builds.close()

    async def _in_turn(self, name: GraphName, ref: GraphRef, deadline: Deadline) -> KeptView:
        """Return the view of this life of a graph, at work for one query more: the caller takes it off `users`."""
        turn = self._turns.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(deadline.left_s), turn:
                kept = await self._at_work(name, ref)
        except TimeoutError:
            raise ShardBusyError("views of other graphs were at work until the query's deadline: ask again") from None
        kept.users += 1
        self._views.move_to_end(name)
        self._make_room()
        return kept

    async def _at_work(self, name: GraphName, ref: GraphRef) -> KeptView:
        while (kept := self._living(name, ref)) is not None:
            if kept in self._working and not self._working.yields(kept):
                return kept
            is_new = await self._working.take(kept)
            if self._living(name, ref) is kept:
                return kept
            if is_new:  # the view went while the query waited, and its end may be over
                self._working.give_back(kept)
        return await self._begun(name, ref)

    def _living(self, name: GraphName, ref: GraphRef) -> KeptView | None:
        """Return the view of this life of a graph, if there is one that can be asked, and no other one of its name."""
        kept = self._views.get(name)
        if kept is not None and (kept.ref.incarnation != ref.incarnation or kept.is_over):
            self._remove(name, kept, ViewLostError("the view of the graph ended"))
            return None
        return kept

    async def _begun(self, name: GraphName, ref: GraphRef) -> KeptView:
        """Return a new view, at work, which is being built."""
        self._unbuilt.check(ref, self._clock.monotonic_s())
        kept = KeptView(ref, self._maker.make(), self._builds, self._bounds.behind_size_bytes_max)
        await self._building.take(kept)  # first: one that waits for this holds up no query of others
        try:
            await self._working.take(kept)
        except BaseException:
            self._building.give_back(kept)
            raise
        self._views[name] = kept
        self._runs[kept] = asyncio.get_running_loop().create_task(self._run(name, kept))
        telemetry.SHARD_VIEWS.set(len(self._views))
        telemetry.SHARD_VIEW_BUILDS.inc()
        return kept

    async def _run(self, name: GraphName, kept: KeptView) -> None:
        """Keep a view until it is over."""
        begun_s = self._clock.monotonic_s()
        await kept.build()
        self._building.give_back(kept)
        if kept.fault is not None and not kept.is_built and self._views.get(name) is kept:
            now_s = self._clock.monotonic_s()
            self._unbuilt.failed(kept.ref, kept.fault, now_s - begun_s, now_s)
        self._tidy(name, kept)
        await kept.follow()
        self._tidy(name, kept)

    def _tidy(self, name: GraphName, kept: KeptView) -> None:
        """Let go of a view that is over, and have one rest that nobody asks."""
        if kept.is_over:
            if self._views.get(name) is kept:
                telemetry.SHARD_VIEWS_LOST.inc()
            self._remove(name, kept, ViewLostError("the view of the graph ended: it is built again"))
        elif kept.is_built and not kept.users:
            self._begin(self._rest(kept))

    async def _rest(self, kept: KeptView) -> None:
        await kept.view.idle()
        if not kept.users and kept in self._runs:  # else the view has its slot until it is closed
            self._working.give_back(kept)

    def _make_room(self) -> None:
        """Let go of idle views that are too much, beside those at work."""
        idle = [(name, kept) for name, kept in self._views.items() if kept not in self._working]
        surplus = self._bounds.surplus([kept.view.memory_bytes for _, kept in idle], len(self._working))
        for name, kept in idle[:surplus]:
            self._remove(name, kept, ViewLostError("another view needed the room"))

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
            self._begin(self._end(run, kept))

    async def _end(self, run: "asyncio.Task[None]", kept: KeptView) -> None:
        """End a view once nothing follows its graph any more."""
        await asyncio.wait({run})
        try:
            await kept.view.close()
        finally:
            self._building.give_back(kept)
            self._working.give_back(kept)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _slots(name: str, count: int, bounds: ViewBounds) -> ViewSlots:
    return ViewSlots(FairSlots(name, count, waiting_max=bounds.waiting_max, bound="SHARD_READ_QUEUE_MAX"))
