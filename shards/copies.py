"""Copies from and to a shard: argosy/graph/copies.py.

Each call that sends or takes parts has a thread of its own, and what puts a graph in its place is done in the order of
the graph's writes. A copy is known by its id from its first call until it ends.
"""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, TypeVar

from argosy.clock import Clock
from argosy.errors import CopyBrokenError, GraphDeadlineError, ShardBusyError
from argosy.graph.copies import CopyPart, CopySums, Received
from argosy.graph.facts import GraphRef, GraphState, Stats
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Engine, GraphCopy, Interrupt
from argosy.shards.fair_slots import FairSlots
from argosy.shards.limits import check_name
from argosy.shards.stream_threads import StreamThreads, drawn
from argosy.shards.writes import Writes

T = TypeVar("T")

_LANDING_THREADS: Final = 2  # of their own: a log of writes may be large, and commits are not to wait for it
_BEGIN_S: Final = 10.0  # for reads, such as an export, that a copy waits for at its beginning
_LOOK_S: Final = 0.1
_SILENT_S: Final = 30.0  # of a caller that sends: one that is gone without a word has a thread


class CopyBounds(NamedTuple):
    """Bounds of copies. count_max: under way, and calls that send or take parts, at once. hold_s: without a call.
    wal_size_bytes_max: of what is written to a graph while it is copied.
    """

    count_max: int
    hold_s: float
    wal_size_bytes_max: int


class _Copy:
    """A copy under way. used_s: when somebody asked for it last. lock: held by the call that sees to its beginning."""

    def __init__(self, ref: GraphRef, used_s: float) -> None:
        self.ref = ref
        self.used_s = used_s
        self.lock = asyncio.Lock()
        self.graph: GraphCopy | None = None  # None: it has not begun
        self._is_over = False
        self._changing = threading.Lock()

    def begin(self, engine: Engine, wal_size_bytes_max: int, interrupt: Interrupt) -> None:
        """Begin it, in a thread."""
        graph = engine.graph(self.ref).begin_copy(self.ref, wal_size_bytes_max, interrupt)
        with self._changing:
            if not self._is_over:
                self.graph = graph
                return
        graph.end()

    def end(self) -> None:
        """End it, in a thread, also when another one is beginning it at this moment."""
        with self._changing:
            self._is_over = True
            graph, self.graph = self.graph, None
        if graph is not None:
            graph.end()


class ShardCopies:
    """A shard's (graph/copies.py, Copies). Used on one event loop."""

    def __init__(self, engine: Engine, writes: Writes, clock: Clock, bounds: CopyBounds) -> None:
        self._engine = engine
        self._writes = writes
        self._clock = clock
        self._bounds = bounds
        count = bounds.count_max
        self._threads = StreamThreads(FairSlots("copies", count, waiting_max=0, bound="SHARD_COPIES_MAX", share=count))
        self._landing = ThreadPoolExecutor(_LANDING_THREADS, thread_name_prefix="shard-land")
        self._copies: dict[uuid.UUID, _Copy] = {}

    @property
    def count(self) -> int:
        """The copies under way."""
        return len(self._copies)

    async def copy(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int = 0, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        async with self._threads.one(ref, deadline := self._deadline(ref, deadline_s)) as thread:
            copy = await self._begun(ref, copy_id, thread, deadline) if offset == 0 else self._found(ref, copy_id)
            async for part in self._parts(copy, lambda graph: graph.base(ref, offset), thread, deadline):
                yield part

    async def copy_tail(
        self, ref: GraphRef, copy_id: uuid.UUID, *, offset: int, deadline_s: float
    ) -> AsyncGenerator[CopyPart, None]:
        async with self._threads.one(ref, deadline := self._deadline(ref, deadline_s)) as thread:
            copy = self._found(ref, copy_id)
            async for part in self._parts(copy, lambda graph: graph.tail(ref, offset), thread, deadline):
                yield part

    async def release_copy(self, ref: GraphRef, copy_id: uuid.UUID, *, deadline_s: float) -> None:
        deadline = self._deadline(ref, deadline_s)
        with contextlib.suppress(CopyBrokenError):
            self._found(ref, copy_id)
            await _in_thread(None, self._copies.pop(copy_id).end, deadline)

    async def receive(
        self,
        ref: GraphRef,
        copy_id: uuid.UUID,
        parts: AsyncIterator[CopyPart],
        *,
        is_tail: bool = False,
        deadline_s: float,
    ) -> Received:
        deadline = self._deadline(ref, deadline_s)
        landings = self._engine.landings
        async with self._threads.one(ref, deadline) as thread:
            idle_since_ms = self._clock.unix_ms() - int(self._bounds.hold_s * 1_000)
            await _in_thread(thread, partial(landings.forget_idle, idle_since_ms), deadline)
            while (part := await _next(parts, deadline)) is not None:
                take = partial(landings.take, ref, copy_id, part, is_tail=is_tail)
                if not await _in_thread(thread, take, deadline):
                    break
            return await _in_thread(thread, partial(landings.received, ref, copy_id), deadline)

    async def land(
        self, ref: GraphRef, copy_id: uuid.UUID, sums: CopySums, expected: Stats | None = None, *, deadline_s: float
    ) -> Stats:
        deadline = self._deadline(ref, deadline_s)
        land = partial(self._engine.landings.land, ref, copy_id, sums, expected)
        return await self._writes.alone(ref, land, deadline, self._landing, replaces=False)

    async def set_state(self, ref: GraphRef, state: GraphState, generation: int, *, deadline_s: float) -> Stats:
        replaces = state is GraphState.RETIRED
        return await self._alone(
            ref, lambda: self._engine.set_state(ref, state, generation), deadline_s, replaces=replaces
        )

    async def activate(self, ref: GraphRef, copy_id: uuid.UUID, generation: int, *, deadline_s: float) -> Stats:
        return await self._alone(
            ref, lambda: self._engine.landings.activate(ref, copy_id, generation), deadline_s, replaces=True
        )

    async def abandon(self, ref: GraphRef, *, deadline_s: float) -> None:
        await self._alone(ref, lambda: self._engine.landings.abandon(ref), deadline_s)

    async def expire(self) -> None:
        """End copies that nobody has asked for anything of for too long, and those that have ended otherwise."""
        since_s = self._clock.monotonic_s() - self._bounds.hold_s
        for copy_id, copy in list(self._copies.items()):
            if copy.used_s < since_s or (copy.graph is not None and copy.graph.has_ended):
                await self._end(copy_id)

    async def close(self) -> None:
        """End all copies."""
        self._threads.close()
        for copy_id in list(self._copies):
            await self._end(copy_id)
        self._landing.shutdown(wait=False)

    async def _begun(self, ref: GraphRef, copy_id: uuid.UUID, thread: Executor, deadline: Deadline) -> _Copy:
        """Return a copy, which begins now unless it has. Raises ShardBusyError when there are too many."""
        if copy_id not in self._copies:
            if len(self._copies) >= self._bounds.count_max:
                raise ShardBusyError(f"{len(self._copies)} graphs are being copied (SHARD_COPIES_MAX): no more can be")
            self._copies[copy_id] = _Copy(ref, self._clock.monotonic_s())
        copy = self._found(ref, copy_id)
        async with copy.lock:
            if copy.graph is None:
                try:
                    await self._begin(copy, thread, deadline)
                except BaseException:
                    await self._end(copy_id)
                    raise
        return copy

    async def _begin(self, copy: _Copy, thread: Executor, deadline: Deadline) -> None:
        """Begin a copy, once the reads have ended that are in its way."""
        begin = partial(copy.begin, self._engine, self._bounds.wal_size_bytes_max, deadline)
        is_late = deadline.within(_BEGIN_S)
        while True:
            try:
                return await _in_thread(thread, begin, deadline)
            except ShardBusyError:
                if is_late():
                    raise
            await self._clock.sleep(_LOOK_S)

    def _found(self, ref: GraphRef, copy_id: uuid.UUID) -> _Copy:
        copy = self._copies.get(copy_id)
        if copy is None or copy.ref != ref:
            raise CopyBrokenError("there is no such copy of the graph, or none any more")
        return copy

    async def _parts(
        self, copy: _Copy, parts_of: Callable[[GraphCopy], Iterator[CopyPart]], thread: Executor, deadline: Deadline
    ) -> AsyncGenerator[CopyPart, None]:
        def made() -> Generator[CopyPart, None, None]:
            if (graph := copy.graph) is None:
                raise CopyBrokenError("the copy has ended")
            yield from parts_of(graph)

        async with contextlib.aclosing(drawn(thread, made(), deadline)) as parts:
            async for part in parts:
                copy.used_s = self._clock.monotonic_s()
                yield part

    async def _end(self, copy_id: uuid.UUID) -> None:
        if (copy := self._copies.pop(copy_id, None)) is not None:
            await asyncio.get_running_loop().run_in_executor(None, copy.end)

    async def _alone(self, ref: GraphRef, work: Callable[[], T], deadline_s: float, *, replaces: bool = False) -> T:
        return await self._writes.alone(ref, work, self._deadline(ref, deadline_s), replaces=replaces)

    def _deadline(self, ref: GraphRef, deadline_s: float) -> Deadline:
        check_name(ref)
        return Deadline(self._clock, deadline_s)


async def _in_thread(thread: Executor | None, work: Callable[[], T], deadline: Deadline) -> T:
    """Return what a thread does. Raises GraphDeadlineError at the deadline: it may still be done."""
    done = asyncio.get_running_loop().run_in_executor(thread, work)
    await asyncio.wait({done}, timeout=deadline.left_s)
    if not done.done():
        raise GraphDeadlineError("a copy of the graph was not stored before the deadline: it may still be")
    return done.result()


async def _next(parts: AsyncIterator[CopyPart], deadline: Deadline) -> CopyPart | None:
    coming = asyncio.ensure_future(anext(parts, None))
    try:
        await asyncio.wait({coming}, timeout=deadline.within(_SILENT_S).left_s)
        if not coming.done():
            raise GraphDeadlineError("the caller has gone, or sent nothing for too long")
        return coming.result()
    finally:
        coming.cancel()
