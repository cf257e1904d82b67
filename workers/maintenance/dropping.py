"""Role graphs: drops the graphs whose time is over, and carries on the drops that somebody began and did not finish.

A graph whose session was forgotten is marked with it (role retention), one that expired here. What is marked nobody
finds; its data go from its shard in any order, whoever leads, because shard and row both compare the incarnation. One
that is on a shard that does not answer waits, and keeps no other one waiting; nor does one whose drop fails in another
way, which is tried again with the next tick.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import Final

import structlog

from argosy import telemetry
from argosy.clock import Clock
from argosy.errors import (
    ArgosyError,
    GraphDeadlineError,
    OutcomeUnknownError,
    ShardUnavailableError,
    StoreUnavailableError,
    WrongOwnerError,
)
from argosy.graph.facts import NOBODY
from argosy.graph.lives import Lives
from argosy.graph.members import Members
from argosy.store.graph import Directory, GraphRow
from argosy.workers.maintenance.role import Ticked

log = structlog.get_logger()

BATCH_MAX: Final = 200  # in one statement; a tick goes on while there are more
_AT_ONCE: Final = 8  # so that those of a shard that does not answer hold up few others
_DROP_S: Final = 10.0  # for one graph
_AWAY: Final = (WrongOwnerError, ShardUnavailableError, OutcomeUnknownError, GraphDeadlineError)


class _Drop(Enum):
    """What a drop came to."""

    DONE = "dropped"
    WAITS = "wait until their shard answers"
    FAILED = "could not be dropped"


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
        expired, came_to = 0, Counter[_Drop]()
        has_more = True
        while has_more and self._clock.monotonic_s() < until_s:
            newly = await self._directory.expire(self.name, term, BATCH_MAX)
            rows = await self._directory.dropped(self._after, BATCH_MAX)
            came_to.update(await self._drop(rows, until_s))
            expired += newly
            has_more = len(rows) == BATCH_MAX or newly == BATCH_MAX
            self._after = rows[-1].incarnation if len(rows) == BATCH_MAX else NOBODY
        words = [f"; {came_to[each]} {each.value}" for each in (_Drop.WAITS, _Drop.FAILED) if came_to[each]]
        return Ticked(f"{expired} graphs expired, {came_to[_Drop.DONE]} dropped{''.join(words)}", has_more)

    async def _drop(self, rows: Sequence[GraphRow], until_s: float) -> list[_Drop]:
        """Drop these graphs. Raises StoreUnavailableError."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def drop(row: GraphRow) -> _Drop:
            async with room:
                try:
                    await self._lives.end(row, min(self._clock.monotonic_s() + _DROP_S, until_s))
                except StoreUnavailableError:
                    raise
                except _AWAY:
                    return _Drop.WAITS
                except ArgosyError as error:
                    log.error(
                        telemetry.GRAPH_DROP_FAILED,
                        tenant=row.tenant,
                        graph=row.graph,
                        incarnation=str(row.incarnation),
                        shard=str(row.shard),
                        error=f"{type(error).__name__}: {error}",
                        consequence="nobody finds it; its data stay where they are until a later tick drops them",
                    )
                    return _Drop.FAILED
                return _Drop.DONE

        return await asyncio.gather(*map(drop, rows))
