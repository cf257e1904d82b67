"""The calls of a move to its two shards, and why a late one does nothing.

Every call may be late: its leader was deposed, or died, and another one went on. It names the graph in generation g,
which it had before the move, and the copy by the move's id. What the other leader did since is one of these:
- it went on: the source went from sealed to retired, and dropped (g); the target has the graph in g + 1;
- it gave the move up: the source has the graph in g + 1, and the target takes nothing of g any more.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from argosy.errors import ArgosyError
from argosy.graph.copies import Copies, CopySums
from argosy.graph.facts import NOBODY, GraphState, Stats
from argosy.graph.line import Again, Line
from argosy.graph.members import Members
from argosy.graph.transport import Transport
from argosy.store.move import Move
from argosy.workers.maintenance.copying import Pipe

T = TypeVar("T")

_LOOK_S: Final = 2.0  # whether a shard answers


class TwoShards:
    """The source and the target of a move. until_s: of a call, with what is tried again. Raises what a transport does,
    and ShardUnavailableError for a shard that is no member.
    """

    def __init__(self, move: Move, members: Members) -> None:
        self._move = move
        self._members = members

    async def fault(self) -> str:
        """Return why one of the two cannot be asked now for what a move asks; empty: both can. Late: it ends a copy
        that nobody has, and asks what is there of one.
        """
        source, target = await self._source(), await self._target()
        if fault := await self._fault_of(source) or await self._fault_of(target):
            return fault
        pipe, line = await self.pipe(), source
        try:
            await source.transport.copies.release_copy(self._move.ref, NOBODY, deadline_s=_LOOK_S)
            line = target
            await pipe.received(_LOOK_S)
        except ArgosyError as error:
            return f"shard {line.member.endpoint}: {error}"
        return ""

    async def takes_graphs(self) -> bool:
        """Whether the target is a member that takes graphs. One that this process knows as another is looked up."""
        if self._move.target not in self._members.active:
            await self._members.refresh()
        return self._move.target in self._members.active

    async def target_fault(self) -> str:
        return await self._fault_of(await self._target())

    async def has_source(self) -> bool:
        """Whether it is the source itself that answers, and no other folder."""
        return not await self._fault_of(await self._source())

    async def pipe(self) -> Pipe:
        """Late: the copy ends with the first sign of it that the leader writes, or at the source with its hold. What
        comes to the target is nobody's, and no other move has this id.
        """
        source, target = await self._source(), await self._target()
        return Pipe(self._move.ref, self._move.move_id, source.transport.copies, target.transport.copies)

    async def seal(self, until_s: float) -> Stats:
        """Late: in generation g the source only ever goes on, from sealed to retired; in g + 1 it refuses this."""
        return await self._set_state(GraphState.SEALED, self._move.generation, until_s)

    async def land(self, sums: CopySums, expected: Stats, until_s: float) -> None:
        """Late: the sums are of what was there under the seal, so it lands what the other leader would have. A target
        that took nothing of g any more refuses it, and so does one that has the graph in g + 1, or has had it.
        """
        move = self._move
        await self._of_target(
            lambda copies, left_s: copies.land(move.ref, move.move_id, sums, expected, deadline_s=left_s), until_s
        )

    async def retire(self, until_s: float) -> None:
        """Late: it is so already, or the source refuses it, having dropped g or being in g + 1."""
        await self._set_state(GraphState.RETIRED, self._move.generation, until_s)

    async def activate(self, until_s: float) -> None:
        """Late: it is only ever sent once the directory names the target, and then nothing gives the move up: the graph
        is there in g + 1 already, or in a later generation, or was dropped in one: nothing changes.
        """
        move = self._move
        await self._of_target(
            lambda copies, left_s: copies.activate(move.ref, move.move_id, move.generation + 1, deadline_s=left_s),
            until_s,
        )

    async def drop_at_source(self, until_s: float) -> None:
        """Late: a graph that has come back is there in a later generation than g, of which this drops nothing."""
        source = await self._source()
        await source.ask(
            lambda shard, left_s: shard.drop(self._move.ref, deadline_s=left_s), until_s, Again.ALWAYS, is_quick=True
        )

    async def reopen(self, until_s: float) -> None:
        """Late: it is only ever sent once the move is to be given up, and then nothing carries it on: the source is in
        g + 1 already, which this leaves as it is, sealed by the next move or not, or in a later one, and refuses it.
        """
        await self._set_state(GraphState.ACTIVE, self._move.generation + 1, until_s)

    async def release(self, until_s: float) -> None:
        """Late: the copy has ended."""
        move = self._move
        source = await self._source()
        await source.ask(
            lambda shard, left_s: shard.copies.release_copy(move.ref, move.move_id, deadline_s=left_s),
            until_s,
            Again.ALWAYS,
        )

    async def abandon(self, generation: int, until_s: float) -> None:
        """Let the target take nothing of the graph in this generation any more. Late: it is what was decided. A graph
        that has come to the target in a later generation stays.
        """
        ref = self._move.ref._replace(generation=generation)
        await self._of_target(lambda copies, left_s: copies.abandon(ref, deadline_s=left_s), until_s)

    async def _set_state(self, state: GraphState, generation: int, until_s: float) -> Stats:
        ref, source = self._move.ref, await self._source()
        return await source.ask(
            lambda shard, left_s: shard.copies.set_state(ref, state, generation, deadline_s=left_s),
            until_s,
            Again.ALWAYS,
        )

    async def _of_target(self, work: Callable[[Copies, float], Awaitable[T]], until_s: float) -> T:
        def asked(shard: Transport, left_s: float) -> Awaitable[T]:
            return work(shard.copies, left_s)

        return await (await self._target()).ask(asked, until_s, Again.ALWAYS)

    async def _source(self) -> Line:
        return await self._members.line(self._move.source)

    async def _target(self) -> Line:
        return await self._members.line(self._move.target)

    async def _fault_of(self, line: Line) -> str:
        if await line.look(_LOOK_S):
            return ""
        return f"shard {line.member.endpoint}: {line.why_not or 'it does not answer'}"
