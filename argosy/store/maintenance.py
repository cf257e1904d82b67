"""What maintenance roles read and write. Every write names its term.

Raises: StoreUnavailableError, OwnershipLostError (the term is over)
"""

from datetime import datetime
from typing import Final, NamedTuple

from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("maintenance")


class Lane(NamedTuple):
    """A lane with the log that its workers are on."""

    lane: str
    topic: str
    log_id: str
    partition_count: int


class Mark(NamedTuple):
    """Where a log stood at a moment. positions: partition → position."""

    at: datetime
    positions: dict[int, int]


class Maintenance:
    """The hand of one role under one term."""

    def __init__(self, pool: Pool, role: str, term: int) -> None:
        self._pool = pool
        self._role = role
        self._term = term

    async def lanes(self) -> list[Lane]:
        return [Lane(*row) for row in await self._pool.fetch(_SQL["list_lanes"])]

    async def mark_positions(self, spacing_s: float) -> None:
        """Remember where the logs stand, unless that was done in the last spacing_s."""
        await write_as(self._pool, _SQL["mark_positions"], self._role, self._term, spacing_s)

    async def mark_before(self, log_id: str, age_s: float) -> Mark | None:
        """The newest mark that is at least so old."""
        rows = await self._pool.fetch(_SQL["find_mark"], log_id, age_s)
        return Mark(rows[0][0], {row[1]: row[2] for row in rows}) if rows else None

    async def note_trimmed(self, log_id: str, at: datetime) -> None:
        """What was marked then is gone from the log."""
        await write_as(self._pool, _SQL["note_trimmed"], self._role, self._term, log_id, at)

    async def purge_turns(self, lane: Lane, age_s: float, limit: int) -> int:
        """Forget ended turns whose record is gone from the log; how many."""
        arguments = (lane.lane, lane.partition_count, age_s, lane.log_id, limit)
        return int(await write_as(self._pool, _SQL["purge_turns"], self._role, self._term, *arguments))

    async def purge_dead_letters(self, lane: Lane, age_s: float, limit: int) -> int:
        arguments = (lane.lane, age_s, limit)
        return int(await write_as(self._pool, _SQL["purge_dead_letters"], self._role, self._term, *arguments))
