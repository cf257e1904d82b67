"""The writes of a shard: a queue for each graph, of which a few threads commit many batches at a time.

Rules:
- One thread at a time writes to a graph. When more graphs wait than there are threads, tenants take turns
  (fair_slots.py). A batch is answered once its commit is durable; batches of one graph are committed in the order in
  which they came.
- A queue is bounded, in number and in bytes, and so are all queues together. A batch that does not fit is refused at
  once, and is certainly not applied.
- A caller that gives up takes its batch with it if no thread has begun with it, and so do those who drop or make a
  graph. Otherwise it takes effect, or not, without anybody being told; a batch's key tells.
- What is committed is told to the views in the order of the commits, before any caller has its answer.
- Lines of a feed make way for others who wait (feed_threads.py).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import ArgosyError, GraphDeadlineError, OutcomeUnknownError, ShardBusyError, ShardUnavailableError
from argosy.graph.facts import Applied, GraphName, GraphRef
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Batch, Engine, Interrupt
from argosy.shards.feed_threads import FeedThreads
from argosy.shards.kept_views import KeptViews
from argosy.shards.write_queue import Queue, Write, WriteBounds, running_threads, write_slots

log = structlog.get_logger()
T = TypeVar("T")

# Of one commit: more makes those wait that came first, and saves no flush that matters.
_GROUP_MAX: Final = 256
_GROUP_SIZE_BYTES_MAX: Final = 8_388_608


class Writes:
    """All writes to the graphs of an engine. Used on one event loop."""

    def __init__(self, engine: Engine, views: KeptViews, bounds: WriteBounds, clock: Clock) -> None:
        self._engine = engine
        self._views = views
        self._bounds = bounds
        self._clock = clock
        self._pool = running_threads(bounds.threads, "write")
        self._slots = write_slots(bounds.threads)
        self._feeds = FeedThreads(bounds, self._slots, clock)
        self._queues: dict[GraphName, Queue] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._size_bytes = 0
        self._is_closing = False

    async def apply(self, batch: Batch, size_bytes: int, deadline: Deadline) -> Applied:
        """Apply a batch durably, as Graph.apply does. Raises GraphDeadlineError: it may have taken effect."""
        name = GraphName(batch.ref.tenant, batch.ref.graph)
        queue = self._admitted(name, size_bytes)
        write = Write(batch, size_bytes, deadline, asyncio.get_running_loop().create_future())
        queue.waiting.append(write)
        self._count(queue, 1, size_bytes)
        if not queue.is_worked_at:
            queue.is_worked_at = True
            self._start(self._work(name, queue))
        try:
            await asyncio.wait({write.answer}, timeout=deadline.left_s)
            if not write.answer.done():
                raise GraphDeadlineError("the write was not committed before its deadline: it may still take effect")
            return write.answer.result()
        finally:
            deadline.give_up()
            if not write.answer.cancel():
                write.answer.exception()  # it is known: nobody need be told that it was not asked for

    async def alone(
        self,
        ref: GraphRef,
        work: Callable[[], T],
        deadline: Deadline,
        pool: Executor | None = None,
        *,
        replaces: bool = False,
        is_feed: bool = False,
        then: Callable[[T], None] | None = None,
        size_bytes: int = 0,
    ) -> T:
        """Do work that concerns a whole graph, in a thread, while nothing else is written to the graph. pool: of the
        thread; None: the one of the writes. replaces: the graph's view is made anew afterwards. is_feed: see `feed`.
        then: tells the view what the work has committed, before anybody has the answer. size_bytes: of what waits.
        """
        name = GraphName(ref.tenant, ref.graph)
        queue = self._admitted(name, size_bytes)
        queue.use(1, is_feed=is_feed)
        self._count(queue, 0, size_bytes)

        async def do() -> T:
            try:
                async with self._feeds.held(queue, ref.tenant) if is_feed else self._held(queue, ref.tenant, pool):
                    if deadline():
                        raise GraphDeadlineError("the call waited for other writes until its deadline")
                    return await self._alone(queue, ref, work, pool or self._pool, replaces=replaces, then=then)
            finally:
                queue.use(-1, is_feed=is_feed)
                self._count(queue, 0, -size_bytes)
                self._forget_idle(name, queue)

        task: asyncio.Task[T] = self._start(do())
        try:
            await asyncio.wait({task}, timeout=deadline.left_s)
            if not task.done():
                raise GraphDeadlineError("the call took longer than its deadline: it may still take effect")
            return task.result()
        finally:
            deadline.give_up()

    async def feed(
        self,
        ref: GraphRef,
        work: Callable[[Interrupt], T],
        deadline: Deadline,
        *,
        then: Callable[[T], None],
        size_bytes: int,
    ) -> T:
        """Do work for a feed as `alone` does, in a thread of feeds. The work is told when it is to make way."""

        def do() -> T:  # in the thread: the queue is there for as long as somebody uses it
            return self._feeds.call(self._queues[GraphName(ref.tenant, ref.graph)], work)

        return await self.alone(ref, do, deadline, self._feeds.pool, is_feed=True, then=then, size_bytes=size_bytes)

    def is_waited_for(self, ref: GraphRef) -> bool:
        """Whether others wait for whoever writes to the graph now. May be called in a thread."""
        queue = self._queues.get(GraphName(ref.tenant, ref.graph))
        return queue is not None and queue.is_waited_for

    async def settle(self, ref: GraphRef, deadline: Deadline) -> None:
        """Wait for the commit that is under way. What it makes durable may be read already, but no view has it yet.
        Raises ShardBusyError at the deadline.
        """
        queue = self._queues.get(GraphName(ref.tenant, ref.graph))
        if queue is not None and not await queue.settled(deadline):
            raise ShardBusyError("what is written to the graph was not committed before the deadline: ask again")

    async def close(self, bound_s: float) -> None:
        """Refuse what comes from now on, and write what waits, in bounded time."""
        self._is_closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=bound_s)
        self._feeds.close()
        self._slots.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _admitted(self, name: GraphName, size_bytes: int) -> Queue:
        if self._is_closing:
            raise ShardUnavailableError("this shard is stopping: it takes no writes")
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = Queue()
        bounds = self._bounds
        if (
            len(queue.waiting) + queue.users >= bounds.count_max
            or queue.size_bytes + size_bytes > bounds.graph_size_bytes_max
            or self._size_bytes + size_bytes > bounds.size_bytes_max
        ):
            self._forget_idle(name, queue)
            telemetry.SHARD_WRITES_REFUSED.inc()
            raise ShardBusyError(f"{len(queue.waiting)} batches wait to be written to this graph: no more fit")
        return queue

    def _start(self, work: Any) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it

    async def _work(self, name: GraphName, queue: Queue) -> None:
        """Commit what waits, group by group, until nothing does."""
        try:
            while queue.waiting:
                async with queue.lock, self._slots.held(name.tenant):
                    if group := self._take(queue):
                        await self._write(queue, group)
        finally:
            queue.is_worked_at = False
            while queue.waiting:  # the shard stopped
                write = queue.waiting.popleft()
                self._count(queue, -1, -write.size_bytes)
                write.end(ShardUnavailableError("this shard stopped"))
            self._forget_idle(name, queue)

    def _take(self, queue: Queue) -> list[Write]:
        """Take the next group out of a queue; without those that nobody waits for any more."""
        group: list[Write] = []
        size_bytes = 0
        while queue.waiting and len(group) < _GROUP_MAX:
            write = queue.waiting[0]
            if group and size_bytes + write.size_bytes > _GROUP_SIZE_BYTES_MAX:
                break
            queue.waiting.popleft()
            self._count(queue, -1, -write.size_bytes)
            if not write.deadline():
                group.append(write)
                size_bytes += write.size_bytes
        return group

    async def _write(self, queue: Queue, group: Sequence[Write]) -> None:
        telemetry.SHARD_COMMIT_BATCHES.observe(len(group))
        batches = [write.batch for write in group]
        outcomes: list[Applied | Exception] = [ShardUnavailableError("this shard stopped")] * len(group)
        try:
            with queue.committing():
                outcomes = await asyncio.get_running_loop().run_in_executor(self._pool, self._commit, batches)
                for write, outcome in zip(group, outcomes, strict=True):
                    if isinstance(outcome, Applied) and outcome.version:
                        self._views.committed(write.batch.ref, write.batch.ops, outcome.version, write.size_bytes)
        finally:
            for write, outcome in zip(group, outcomes, strict=True):
                write.end(outcome)

    def _commit(self, batches: Sequence[Batch]) -> "list[Applied | Exception]":
        """Commit batches of one graph, in a thread. Those before the first that means the graph as it is are refused;
        the graph refuses such as come later.
        """
        outcomes: list[Applied | Exception] = []
        try:
            for batch in batches:
                try:
                    graph = self._engine.graph(batch.ref)
                except ArgosyError as error:
                    outcomes.append(error)
                else:
                    return outcomes + graph.apply_many(batches[len(outcomes) :], self._clock.unix_ms())
            return outcomes
        except ArgosyError as error:  # as the engine says: nothing was changed
            fault: Exception = error
        except Exception as error:
            log.exception(telemetry.SHARD_WRITE_FAILED, tenant=batches[0].ref.tenant, graph=batches[0].ref.graph)
            fault = OutcomeUnknownError(f"the shard could not write: {type(error).__name__}: {error}")
        return outcomes + [fault for _ in batches[len(outcomes) :]]

    @contextlib.asynccontextmanager
    async def _held(self, queue: Queue, tenant: str, pool: Executor | None) -> AsyncIterator[None]:
        """Have a graph, and a thread where it is one of the writes."""
        async with queue.lock, self._slots.held(tenant) if pool is None else contextlib.nullcontext():
            yield

    async def _alone(
        self,
        queue: Queue,
        ref: GraphRef,
        work: Callable[[], T],
        pool: Executor,
        *,
        replaces: bool,
        then: Callable[[T], None] | None,
    ) -> T:
        try:
            with contextlib.nullcontext() if then is None else queue.committing():
                done = await asyncio.get_running_loop().run_in_executor(pool, work)
                if then is not None:
                    then(done)
                return done
        finally:
            if replaces:
                self._views.forget(ref)

    def _count(self, queue: Queue, count: int, size_bytes: int) -> None:
        queue.size_bytes += size_bytes
        self._size_bytes += size_bytes
        telemetry.SHARD_QUEUE.inc(count)
        telemetry.SHARD_QUEUE_SIZE_BYTES.inc(size_bytes)

    def _forget_idle(self, name: GraphName, queue: Queue) -> None:
        if not (queue.waiting or queue.users or queue.is_worked_at) and self._queues.get(name) is queue:
            del self._queues[name]
