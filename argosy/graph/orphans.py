"""Orphans: graphs that a shard has and that nobody can ask for there.

A graph's row is written before its file is made, and goes after its file. So what a shard has listed, and the directory
does not know afterwards, is of another history of the database: of one that was lost since a backup, or of another
database. While it is there no other graph gets its name.

What a shard has of a graph that the directory has elsewhere in a later generation is of before a move, as when the
shard's folder was put back from a copy. It keeps the graph from coming back to the shard. One in a later generation
than the directory's is no orphan: then it is the directory that is of before a move.

Nothing drops an orphan by itself.
"""

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from argosy.clock import Clock
from argosy.graph.facts import LIST_MAX, GraphName, GraphRef, Member, Stats
from argosy.graph.line import Again
from argosy.graph.members import Members
from argosy.store.graph import Directory

_PAGE_S: Final = 60.0  # a shard opens the file of each graph for it, in a third of a millisecond
_DROP_S: Final = 30.0  # of one graph, with what is tried again: an operator waits for it


class Orphan(NamedTuple):
    """moved_to: the endpoint, or id, of the shard that has the graph now; empty: the directory does not know it."""

    shard: Member
    ref: GraphRef
    stats: Stats
    moved_to: str = ""


class Orphans:
    """The orphans of all members. Raises ShardUnavailableError when one of them does not answer."""

    def __init__(self, directory: Directory, members: Members, clock: Clock) -> None:
        self._directory = directory
        self._members = members
        self._clock = clock

    async def find(self) -> list[Orphan]:
        await self._members.refresh()
        await self._members.look()  # nothing is asked where another folder answers
        return [orphan for shard in self._members.all async for orphan in self._of(shard)]

    async def drop(self, orphans: Sequence[Orphan]) -> AsyncIterator[Orphan]:
        """Drop those that are orphans now, too, and yield each one that is gone."""
        for orphan in orphans:
            if await self._directory.orphaned(orphan.shard.member_id, [orphan.ref]):
                await self._drop(orphan)
                yield orphan

    async def _drop(self, orphan: Orphan) -> None:
        line = await self._members.line(orphan.shard.member_id)
        until_s = self._clock.monotonic_s() + _DROP_S
        await line.ask(
            lambda shard, left_s: shard.drop(orphan.ref, deadline_s=left_s), until_s, Again.ALWAYS, is_quick=True
        )

    async def _of(self, shard: Member) -> AsyncIterator[Orphan]:
        after: GraphName | None = None
        while (page := await self._page(shard, after)) and page[-1][0] != after:
            listed = {GraphRef(*name, stats.incarnation, stats.generation): stats for name, stats in page}
            for ref, moved_to in await self._directory.orphaned(shard.member_id, list(listed)):
                yield Orphan(shard, ref, listed[ref], "" if moved_to is None else self._named(moved_to))
            if len(page) != LIST_MAX:  # more: a shard that knows no pages answers all, and all again
                return
            after = page[-1][0]

    def _named(self, member_id: uuid.UUID) -> str:
        return next((each.endpoint for each in self._members.all if each.member_id == member_id), str(member_id))

    async def _page(self, shard: Member, after: GraphName | None) -> list[tuple[GraphName, Stats]]:
        line = await self._members.line(shard.member_id)
        until_s = self._clock.monotonic_s() + _PAGE_S
        return await line.ask(lambda asked, left_s: asked.list(after=after, deadline_s=left_s), until_s, Again.ALWAYS)
