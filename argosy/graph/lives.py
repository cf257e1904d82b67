"""How graphs begin and end: between the directory, which says that they are to, and the shard, which has them.

A graph begins with its row (creating), then its shard makes it, then the row is active. It ends with a mark on its row
(dropping), then its shard forgets it, then the row goes. Whoever is killed between two steps leaves a row that says how
far it came: whoever meets it takes the next step. Each step may be taken again, and by several processes at once; a
step that comes late changes nothing, since row and shard both compare the incarnation.

A move ends with a drop, too: of what its source has still. When the graph is dropped before that, its name is free, and
nobody ever asks for that file: it is in the way of the next life of the name alone, which has the source forget it.
"""

from argosy.errors import GraphDroppedError, GraphTakenError, SettingError, ShardUnavailableError, WrongOwnerError
from argosy.graph.asker import Asker
from argosy.graph.facts import GraphRef
from argosy.graph.line import Again, Line
from argosy.graph.members import NO_SHARDS, Members
from argosy.graph.placement import place
from argosy.store.graph import Directory, GraphRow, GraphRowState, NewGraph


class Lives:
    """Creates and drops lives of graphs, step by step."""

    def __init__(self, directory: Directory, members: Members) -> None:
        self._directory = directory
        self._members = members

    async def add(self, new: NewGraph) -> GraphRow | None:
        """Take the first step: write the row of a new graph, which is placed here, whatever shard it says. None when
        somebody else has written one, or the members have changed.
        """
        if not (members := self._members.for_new):
            await self._members.refresh()
            members = self._members.for_new
        if not members and self._members.are_none:
            raise SettingError(NO_SHARDS)
        if not members:
            raise ShardUnavailableError("no shard takes new graphs now: all are draining")
        row = await self._directory.add(new._replace(shard=place(members, new.tenant, new.graph)))
        if row is None:
            await self._members.refresh()
        return row

    async def begin(self, row: GraphRow, until_s: float, asker: Asker | None = None) -> GraphRow | None:
        """Take the steps that a row in state creating lacks; None when it is being dropped, or was. asker: who makes
        the graph, for its access control list.
        """
        line, ref = await self._members.line(row.shard), row.ref._replace(asker=asker)
        try:
            try:
                await _create(line, ref, until_s)
            except WrongOwnerError:
                if not await self.make_room(row, until_s):
                    raise
                await _create(line, ref, until_s)
        except WrongOwnerError as error:
            if await self._is_over(row):
                return None
            if not await line.is_right(until_s):
                raise
            raise GraphTakenError(
                f"{error}: `argosy shards orphans` shows what the database does not know; what was dropped at the "
                "shard alone goes with `argosy graph drop`",
                is_dropped=isinstance(error, GraphDroppedError),
            ) from error
        return await self._directory.activate(row)

    async def end(self, row: GraphRow, until_s: float) -> None:
        """Take the steps that a row in state dropping lacks."""
        await _drop(await self._members.line(row.shard), row.ref, until_s)
        await self._directory.delete(row)

    async def make_room(self, row: GraphRow, until_s: float) -> bool:
        """Let the row's shard forget what moves of earlier lives of the name have yet to drop there; whether there was
        any such move.
        """
        left = await self._directory.left_behind(row)
        for ref in left:
            await _drop(await self._members.line(row.shard), ref, until_s)
        return bool(left)

    async def _is_over(self, row: GraphRow) -> bool:
        """Whether the graph was dropped, or is being dropped: its row is marked before its shard forgets it."""
        now = await self._directory.find(row.tenant, row.graph)
        return now is None or now.incarnation != row.incarnation or now.state is GraphRowState.DROPPING


async def _create(line: Line, ref: GraphRef, until_s: float) -> None:
    await line.ask(lambda shard, left_s: shard.create(ref, deadline_s=left_s), until_s, Again.ALWAYS, is_quick=True)


async def _drop(line: Line, ref: GraphRef, until_s: float) -> None:
    await line.ask(lambda shard, left_s: shard.drop(ref, deadline_s=left_s), until_s, Again.ALWAYS, is_quick=True)
