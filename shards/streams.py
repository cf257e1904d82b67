"""Calls that send or answer more than memory should hold: bulk loads, exports and imports.

Rules:
- Each has a thread of its own, in which the engine works while the event loop talks with the caller: see
  stream_threads.py. Tenants share them fairly (fair_slots.py).
- Nothing is read ahead: the thread asks the loop for the next item, or the loop asks the thread. So a stream holds one
  item in memory, and a slow caller slows down nothing but its own stream.
- A stream ends with its call: at the deadline, when the caller has gone, and when it says nothing for _SILENT_S.
- A load has its graph to itself from its first item on. While others wait to write to the graph, its caller may say
  nothing for SHARD_STALL_S only.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from argosy.clock import Clock
from argosy.errors import GraphDeadlineError, GraphInputError, ShardBusyError
from argosy.graph.facts import Applied, GraphRef, Source
from argosy.graph.ops import Op, check_ops
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Engine
from argosy.shards.fair_slots import FairSlots
from argosy.shards.stream_threads import StreamThreads, drawn
from argosy.shards.writes import Writes

T = TypeVar("T")

_SILENT_S: Final = 30.0  # more than a caller's pause for a disk; one that is gone without a word holds a stream
_LOOK_S: Final = 0.25  # how soon a thread that waits for a caller sees that it has gone
_CHUNK_SIZE_BYTES: Final = 262_144  # of an export
_LINE_SIZE_BYTES_MAX: Final = 16_777_216  # of an import: a node has 1 MiB of props, and eight vectors


class StreamBounds(NamedTuple):
    """Bounds of streams. count_max: at once. stall_s: of silence in which others may not write."""

    count_max: int
    stall_s: float


class Streams:
    """The streams of a shard. Used on one event loop."""

    def __init__(self, engine: Engine, writes: Writes, clock: Clock, bounds: StreamBounds) -> None:
        self._engine = engine
        self._writes = writes
        self._clock = clock
        self._bounds = bounds
        self._threads = StreamThreads(
            FairSlots("loads, exports and imports", bounds.count_max, waiting_max=0, bound="SHARD_STREAMS_MAX")
        )

    async def bulk_load(
        self, ref: GraphRef, batches: AsyncIterator[Sequence[Op]], source: Source, deadline: Deadline
    ) -> Applied:
        """Apply batches of upserts in one transaction."""
        async with self._threads.one(ref, deadline) as thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._engine.graph, ref)
            pulled = await self._begun(ref, batches, deadline)

            def load() -> Applied:
                graph = self._engine.graph(ref)
                return graph.bulk_load(ref, _checked(pulled), source=source, now_ms=self._clock.unix_ms())

            return await self._writes.alone(ref, load, deadline, thread, replaces=True)

    async def restore(self, ref: GraphRef, chunks: AsyncIterator[bytes], deadline: Deadline) -> None:
        """Make a graph of the lines of an export; a chunk may have any part of them."""
        async with self._threads.one(ref, deadline) as thread:
            pulled = await self._begun(ref, chunks, deadline)
            await self._writes.alone(
                ref, lambda: self._engine.restore(ref, _lines(pulled)), deadline, thread, replaces=True
            )

    async def export(self, ref: GraphRef, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a graph, each with its line end, some in every chunk."""
        async with self._threads.one(ref, deadline) as thread:
            chunks = drawn(thread, _joined(self._engine, ref, deadline), deadline)
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield chunk

    @property
    def count(self) -> int:
        return self._threads.count

    def close(self) -> None:
        """Tell all streams to end."""
        self._threads.close()

    async def _begun(self, ref: GraphRef, items: AsyncIterator[T], deadline: Deadline) -> Iterator[T]:
        """Wait for the first item, and return all of them, to be iterated over in a thread that has the graph."""
        coming = asyncio.ensure_future(_next(items))
        try:
            await asyncio.wait({coming}, timeout=deadline.within(_SILENT_S).left_s)
            if not coming.done():
                raise _gone()
            first = coming.result()
        finally:
            coming.cancel()
        return iter(()) if first is None else chain(first, self._pulled(ref, items, deadline))

    def _pulled(self, ref: GraphRef, items: AsyncIterator[T], deadline: Deadline) -> Iterator[T]:
        """Yield, in a thread, what a caller sends to this event loop."""
        loop = asyncio.get_running_loop()
        look_s = min(_LOOK_S, self._bounds.stall_s / 4)

        def pull() -> Iterator[T]:
            while True:
                item = asyncio.run_coroutine_threadsafe(_next(items), loop)
                silent_until, stalled_until = deadline.within(_SILENT_S), deadline.within(self._bounds.stall_s)
                while not item.done() and not (deadline() or silent_until()):
                    if stalled_until() and self._writes.is_waited_for(ref):
                        item.cancel()
                        raise ShardBusyError(
                            f"others wait to write to the graph, and for {self._bounds.stall_s:g} s (SHARD_STALL_S) the"
                            " caller sent nothing: nothing was changed"
                        )
                    with contextlib.suppress(TimeoutError):
                        item.exception(look_s)
                if not item.done():
                    item.cancel()
                    raise _gone()
                if not (sent := item.result()):
                    return
                yield sent[0]

        return pull()


def _gone() -> GraphDeadlineError:
    return GraphDeadlineError("the caller has gone, or sent nothing for too long: nothing was changed")


async def _next(items: AsyncIterator[T]) -> tuple[T] | None:
    async for item in items:
        return (item,)
    return None


def _checked(batches: Iterable[Sequence[Op]]) -> Iterator[Sequence[Op]]:
    for ops in batches:
        check_ops(ops)
        yield ops


def _joined(engine: Engine, ref: GraphRef, deadline: Deadline) -> Generator[bytes, None, None]:
    """Yield the lines of a graph, several at once."""
    lines: list[bytes] = []
    size_bytes = 0
    for line in engine.graph(ref).export(ref):
        if deadline():
            raise GraphDeadlineError("the graph could not be exported before the deadline")
        lines.append(line if line.endswith(b"\n") else line + b"\n")
        size_bytes += len(line)
        if size_bytes >= _CHUNK_SIZE_BYTES:
            yield b"".join(lines)
            lines.clear()
            size_bytes = 0
    if lines:
        yield b"".join(lines)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that chunks have together, without their line ends."""
    left = b""
    for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        yield from lines
        if len(left) > _LINE_SIZE_BYTES_MAX:
            raise GraphInputError(f"a line has at most {_LINE_SIZE_BYTES_MAX} bytes")
    if left:
        yield left
