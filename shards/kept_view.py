"""The view of one graph: built once, and then kept as the graph is committed.

Rules:
- What is committed while the view is built waits, and is taken in afterwards. The pages of which the view is built were
  read at different moments, so they have some of that already; operations that are taken in twice, in order, come to
  the same.
- Versions of a graph have no gaps. When one is missing, the view is over.
- The time that a view takes until it has what a query must see is no fault of the query: whose deadline comes before
  is told that the shard is not ready for it yet, and may ask again.
- What waits is bounded, in bytes. A view that falls behind is over: queries that wait for it end, those that it answers
  already go on, and the next one has a new view.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from argosy import telemetry
from argosy.errors import ArgosyError, ShardBusyError, ViewLostError
from argosy.graph.facts import GraphRef
from argosy.graph.ops import Op
from argosy.shards.builds import Builds
from argosy.shards.deadline import Deadline
from argosy.shards.view import View

log = structlog.get_logger()

_TAKEN_IN_OPS_MAX: Final = 2_000  # at once: a query of the same view waits for them


class KeptView:
    """A view from its building until it is over. users: queries that wait for it, or that it answers.

    fault: why it is over; None: it is not.
    """

    def __init__(self, ref: GraphRef, view: View, builds: Builds, behind_size_bytes_max: int) -> None:
        self.ref = ref
        self.view = view
        self.users = 0
        self.fault: ArgosyError | None = None
        self.is_built = False
        self._builds = builds
        self._behind_size_bytes_max = behind_size_bytes_max
        self._committed: deque[tuple[Sequence[Op], int, int]] = deque()
        self._size_bytes = 0
        self._version = -1
        self._last_version = 0
        self._news = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def is_over(self) -> bool:
        return self.fault is not None or (self.is_built and self.view.is_lost)

    async def build(self) -> None:
        """Build the view, or have it be over."""
        with self._over_at_a_fault():
            version = await self._builds.build(self.ref, self.view)
            self.is_built = True
            self._last_version = max(self._last_version, version)
            self._reached(version)

    async def follow(self) -> None:
        """Take in what is committed, until the view is over."""
        with self._over_at_a_fault():
            while self.fault is None:
                self._news.clear()
                if self._committed:
                    await self._take_in()
                else:
                    await self._news.wait()

    def committed(self, ops: Sequence[Op], version: int, size_bytes: int) -> None:
        """Hand a committed batch to the view. Called in the order of commits."""
        if version <= self._last_version or self.fault is not None:  # the answer of a key that was used before
            return
        self._last_version = version
        self._committed.append((ops, version, size_bytes))
        self._size_bytes += size_bytes
        if self._size_bytes > self._behind_size_bytes_max:
            self.end(ViewLostError("the view of the graph fell behind what is written: it is built again"))
        self._news.set()

    async def catch_up(self, deadline: Deadline) -> None:
        """Wait until the view has what is committed by now. Raises ShardBusyError, and why the view is over."""
        if self.fault is not None:
            raise self.fault.with_traceback(None)
        if self._version >= self._last_version and self.is_built:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((self._last_version, future))
        try:
            await asyncio.wait({future}, timeout=deadline.left_s)
            if not future.done():
                what = "has not taken in what was written" if self.is_built else "is still being built"
                raise ShardBusyError(f"the view of the graph {what}: ask again")
            future.result()
        finally:
            if not future.cancel():
                future.exception()

    def end(self, fault: ArgosyError) -> None:
        """Say that it is over; its first reason stays."""
        if self.fault is None:
            self.fault = fault
            self._committed.clear()
            self._news.set()
            for _, future in self._waiting:
                if not future.done():
                    future.set_exception(fault)
            self._waiting.clear()

    @contextlib.contextmanager
    def _over_at_a_fault(self) -> Iterator[None]:
        try:
            yield
        except ArgosyError as error:
            self.end(error)
        except Exception as error:
            log.exception(telemetry.SHARD_VIEW_FAILED, tenant=self.ref.tenant, graph=self.ref.graph)
            self.end(ViewLostError(f"the view of the graph failed: {type(error).__name__}"))

    async def _take_in(self) -> None:
        ops: list[Op] = []
        version = self._version
        while self._committed and len(ops) < _TAKEN_IN_OPS_MAX:
            batch, its_version, size_bytes = self._committed.popleft()
            self._size_bytes -= size_bytes
            if its_version <= version:  # the view was built with it
                continue
            if its_version != version + 1:
                raise ViewLostError(f"the view of the graph lacks version {version + 1}: it is built again")
            ops.extend(batch)
            version = its_version
        if version > self._version:
            await self.view.apply(ops, version)
            self._reached(version)

    def _reached(self, version: int) -> None:
        self._version = version
        reached = [each for each in self._waiting if each[0] <= version]
        self._waiting = [each for each in self._waiting if each[0] > version]
        for _, future in reached:
            if not future.done():
                future.set_result(None)
