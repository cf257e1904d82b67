"""How graphs begin and end: between the directory, which says that they are to, and the shard, which has them.

A graph begins with its row (creating), then its shard makes it, then the row is active. It ends with a mark on its row
(dropping), then its shard forgets it, then the row goes. Whoever is killed between two steps leaves a row that says how
far it came: whoever meets it takes the next step. Each step may be taken again, and by several processes at once; a
step that comes late changes nothing, since row and shard both compare the incarnation.
"""

from argosy.errors import GraphTakenError, WrongOwnerError
from argosy.graph.line import LOOK_S, Again
from argosy.graph.members import Members
from argosy.store.graph import Directory, GraphRow


class Lives:
    """Creates and drops lives of graphs: the steps after the first."""

    def __init__(self, directory: Directory, members: Members) -> None:
        self._directory = directory
        self._members = members

    async def begin(self, row: GraphRow, until_s: float) -> GraphRow | None:
        """Take the steps that a row in state creating lacks; None when the graph was dropped meanwhile."""
        line = await self._members.line(row.shard)
        try:
            await line.ask(
                lambda shard, left_s: shard.create(row.ref, deadline_s=left_s), until_s, Again.ALWAYS, is_quick=True
            )
        except WrongOwnerError as error:
            now = await self._directory.find(row.tenant, row.graph)
            if now is not None and now.incarnation == row.incarnation:
                if not await line.is_right(LOOK_S):
                    raise
                raise GraphTakenError(
                    f"{error}: `argosy shards orphans` shows what the database does not know"
                ) from error
            return None
        return await self._directory.activate(row)

    async def end(self, row: GraphRow, until_s: float) -> None:
        """Take the steps that a row in state dropping lacks."""
        line = await self._members.line(row.shard)
        await line.ask(
            lambda shard, left_s: shard.drop(row.ref, deadline_s=left_s), until_s, Again.ALWAYS, is_quick=True
        )
        await self._directory.delete(row)
