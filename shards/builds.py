"""Builds views: reads a whole graph page by page, so that no thread is held for long and no page is large."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from argosy.clock import Clock
from argosy.errors import GraphDeadlineError
from argosy.graph.facts import Edge, GraphRef, Node
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Engine
from argosy.shards.threads import Threads
from argosy.shards.unbuilt import SlowBuildError
from argosy.shards.view import ASK_INSTEAD, View

_PAGE_MIN: Final = 64  # a node may have 1 MiB
_PAGE_MAX: Final = 4_096  # tiny facts, too, are read in parts: writes and other reads come between
_PAGE_SIZE_BYTES: Final = 1_048_576  # the next page is smaller above this, and larger below it


class Builds:
    """The building of all views of a shard. bound_s: of one."""

    def __init__(self, engine: Engine, threads: Threads, clock: Clock, bound_s: float) -> None:
        self._engine = engine
        self._threads = threads
        self._clock = clock
        self._bound_s = bound_s

    async def build(self, ref: GraphRef, view: View) -> int:
        """Make the view be the graph, and return the graph's version. A page has all that was committed before it was
        read: it may be later than that version. Raises GraphTooLargeError when it has no room, or takes too long.
        """
        deadline = Deadline(self._clock, self._bound_s)
        try:
            async with asyncio.timeout(self._bound_s):  # the view's own process may stand still
                stats = await self._threads.run(ref.tenant, lambda _: self._engine.graph(ref).stats(), deadline)
                await view.build(stats.version, self._facts(ref, deadline))
                return stats.version
        except (GraphDeadlineError, TimeoutError):
            raise SlowBuildError(
                f"the graph was not ready for Cypher within {self._bound_s:g} s (SHARD_VIEW_BUILD_S): {ASK_INSTEAD}"
            ) from None

    async def close(self) -> None:
        await self._threads.close()

    async def _facts(self, ref: GraphRef, deadline: Deadline) -> AsyncIterator[Sequence[Node | Edge]]:
        nodes: list[Node] = []
        limit = _PAGE_MIN
        while nodes := await self._nodes(ref, nodes[-1].id if nodes else "", limit, deadline):
            yield nodes
            limit = _next_limit(nodes, limit)
        edges: list[Edge] = []
        while edges := await self._edges(ref, edges[-1][:3] if edges else ("", "", ""), limit, deadline):
            yield edges
            limit = _next_limit(edges, limit)

    async def _nodes(self, ref: GraphRef, after: str, limit: int, deadline: Deadline) -> list[Node]:
        return await self._threads.run(
            ref.tenant, lambda stop: self._engine.graph(ref).scan(ref, "", after, limit, stop), deadline
        )

    async def _edges(self, ref: GraphRef, after: tuple[str, str, str], limit: int, deadline: Deadline) -> list[Edge]:
        return await self._threads.run(
            ref.tenant, lambda stop: self._engine.graph(ref).scan_edges(ref, after, limit, stop), deadline
        )


def _next_limit(page: Sequence[Node | Edge], limit: int) -> int:
    size_bytes = sum(len(each.props) for each in page)
    return max(_PAGE_MIN, limit // 2) if size_bytes > _PAGE_SIZE_BYTES else min(_PAGE_MAX, limit * 2)
