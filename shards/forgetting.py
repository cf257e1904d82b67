"""Has graphs forget what turns wrote: see argosy/graph/forgetting.py."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from argosy.clock import Clock
from argosy.graph.facts import NO_SOURCE, GraphRef
from argosy.graph.forgetting import ForgetTurns, Forgotten
from argosy.shards.deadline import Deadline
from argosy.shards.engine import Batch, Engine, Graph
from argosy.shards.threads import Threads
from argosy.shards.writes import Writes

T = TypeVar("T")

_FACTS_MAX: Final = (
    1_000  # deleted in one commit: other writes to the graph wait no longer than for a batch of their own
)
_PAUSE_S: Final = 0.05  # in which others write, and a reader that is in the way may end
_OP_SIZE_BYTES: Final = 1_024  # of an operation in memory, with its ids


class Forgetting(NamedTuple):
    """Forgets for a shard. Used on one event loop; what a call asks for is the caller's to check."""

    engine: Engine
    threads: Threads
    writes: Writes
    clock: Clock

    async def forget(self, ref: GraphRef, turns: ForgetTurns, deadline: Deadline) -> Forgotten:
        """Delete what these turns and feeds wrote last, as much as half of the time allows: each part must end in the
        rest.

        What is deleted has the version in which it was found: what somebody has written over meanwhile refuses its
        batch, and everything is looked for again. A write gives its deadline up when it ends, so each has its own.
        """
        until = deadline.within(deadline.left_s / 2)
        await self.writes.alone(
            ref,
            lambda: self.engine.graph(ref).fence(ref, turns, self.clock.unix_ms()),
            deadline.within(),
            replaces=False,
        )
        nodes = edges = 0
        while not until():
            found = await self.threads.run(
                ref.tenant,
                lambda stop: self.engine.graph(ref).written_by(ref, turns, _FACTS_MAX, stop),
                deadline,
            )
            if not found.ops:
                has_deleted = turns.is_again or nodes + edges > 0 or bool(turns.feeds)
                is_done = not has_deleted or await self._wipe(ref, until, deadline)
                return Forgotten(nodes, edges, is_done)
            batch = Batch(ref, found.ops, None, None, NO_SOURCE)
            applied = await self.writes.apply(batch, len(found.ops) * _OP_SIZE_BYTES, deadline.within())
            if applied.version:
                nodes, edges = nodes + found.nodes, edges + found.edges
        return Forgotten(nodes, edges, is_done=False)

    async def _wipe(self, ref: GraphRef, until: Deadline, deadline: Deadline) -> bool:
        while not until():
            if await self._alone(ref, lambda graph: graph.wipe(ref), deadline):
                return True
            await self.clock.sleep(_PAUSE_S)
        return False

    async def _alone(self, ref: GraphRef, work: Callable[[Graph], T], deadline: Deadline) -> T:
        return await self.writes.alone(ref, lambda: work(self.engine.graph(ref)), deadline.within(), replaces=False)
