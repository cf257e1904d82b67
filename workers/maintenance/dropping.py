"""Role graphs: drops the graphs whose time is over, and carries on the drops that somebody began and did not finish.

A graph whose session was forgotten is marked with it (role retention), one that expired here. What is marked nobody
finds; its data go from its shard in any order, whoever leads, because shard and row both compare the incarnation. One
that is on a shard that does not answer waits, and keeps no other one waiting.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Final

from argosy.clock import Clock
from argosy.errors import GraphDeadlineError, OutcomeUnknownError, ShardUnavailableError, WrongOwnerError
from argosy.graph.facts import NOBODY
from argosy.graph.lives import Lives
from argosy.graph.members import Members
from argosy.store.graph import Directory, GraphRow
from argosy.workers.maintenance.role import Ticked

BATCH_MAX: Final = 200
_AT_ONCE: Final = 8
_DROP_S: Final = 10.0  # for one graph


class Dropping:
    """The role graphs; see workers/maintenance/role.py. share_s: how long one tick may take."""

    name = "graphs"

    def __init__(self, directory: Directory, members: Members, clock: Clock, share_s: float) -> None:
        self._directory = directory
        self._members = members
        self._lives = Lives(directory, members)
        self._clock = clock
        self._share_s = share_s
        self._after: uuid.UUID = NOBODY

    async def tick(self, term: int) -> Ticked:
        until_s = self._clock.monotonic_s() + self._share_s
        await self._members.refresh()
        expired = gone = waiting = 0
        has_more = True
        while has_more and self._clock.monotonic_s() < until_s:
            newly = await self._directory.expire(self.name, term, BATCH_MAX)
            rows = await self._directory.dropped(self._after, BATCH_MAX)
            dropped = await self._drop(rows, until_s)
            expired, gone, waiting = expired + newly, gone + dropped, waiting + len(rows) - dropped
            has_more = len(rows) == BATCH_MAX or newly == BATCH_MAX
            self._after = rows[-1].incarnation if len(rows) == BATCH_MAX else NOBODY
        words = f"; {waiting} wait until their shard answers" if waiting else ""
        return Ticked(f"{expired} graphs expired, {gone} dropped{words}", has_more)

    async def _drop(self, rows: Sequence[GraphRow], until_s: float) -> int:
        """Drop these graphs; how many are gone."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def drop(row: GraphRow) -> bool:
            async with room:
                try:
                    await self._lives.end(row, min(self._clock.monotonic_s() + _DROP_S, until_s))
                except (WrongOwnerError, ShardUnavailableError, OutcomeUnknownError, GraphDeadlineError):
                    return False
                return True

        return sum(await asyncio.gather(*map(drop, rows)))
