"""What maintenance roles read and write. Every write names its term.

Raises: StoreUnavailableError, OwnershipLostError (the term is over: nothing was written)
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from argosy.store.leader import write_as
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("maintenance")


class Lane(NamedTuple):
    """A lane with the log that its workers were last seen on."""

    lane: str
    topic: str
    log_id: str
    partition_count: int


class Mark(NamedTuple):
    """The positions of a log at a moment, partition → position. is_new: the log was not trimmed up to them yet."""

    at: datetime
    positions: dict[int, int]
    is_new: bool


class Place(NamedTuple):
    """A place in the order in which turns ended."""

    ended_at: datetime
    turn_id: uuid.UUID


class Holder(NamedTuple):
    """Something that keeps dead row versions from being cleaned up.

    kind: session (name: its pid), prepared, slot or standby. age_s: None where Postgres does not tell it. transactions:
    how many began since. who: user, application and state of a session.
    """

    kind: str
    name: str
    age_s: float | None
    transactions: int
    who: str


FIRST_PLACE: Final = Place(datetime.min.replace(tzinfo=UTC), uuid.UUID(int=0))


class AgedTurn(NamedTuple):
    """An ended turn. partition: None when the lane's log is not known. may_go: its record is gone from the log."""

    place: Place
    lane: str
    partition: int | None
    may_go: bool


async def list_holders(pool: Pool) -> list[Holder]:
    """Return what this user may see of the holders, the oldest first, at most 20."""
    return [Holder(*row) for row in await pool.fetch(_SQL["list_holders"])]


class Maintenance:
    """The reads and writes of one role under one term."""

    def __init__(self, pool: Pool, role: str, term: int) -> None:
        self._pool = pool
        self._role = role
        self._term = term

    async def lanes(self) -> list[Lane]:
        return [Lane(*row) for row in await self._pool.fetch(_SQL["list_lanes"])]

    async def mark_positions(self, lag_s: float, spacing_s: float) -> None:
        """Write down where the logs stand, unless that was done in the last spacing_s, and delete useless marks.

        lag_s: how old a mark must be to be used.
        """
        await write_as(self._pool, _SQL["mark_positions"], self._role, self._term, lag_s, spacing_s)

    async def mark_before(self, log_id: str, age_s: float) -> Mark | None:
        """Return the newest mark that is at least age_s old, or None."""
        rows = await self._pool.fetch(_SQL["find_mark"], log_id, age_s)
        return Mark(rows[0][0], {row[1]: row[2] for row in rows}, any(row[3] for row in rows)) if rows else None

    async def note_trimmed(self, log_id: str, at: datetime) -> None:
        """Note that the log was trimmed up to the mark made at `at`."""
        await write_as(self._pool, _SQL["note_trimmed"], self._role, self._term, log_id, at)

    async def ended(self, age_s: float, after: Place, limit: int) -> list[AgedTurn]:
        """Return at most `limit` turns after a place in the order of their ends that ended at least age_s ago."""
        rows = await self._pool.fetch(_SQL["list_ended"], age_s, *after, limit)
        return [AgedTurn(Place(row[0], row[1]), *row[2:]) for row in rows]

    async def purge_turns(self, lane: str, partition: int, turns: Sequence[uuid.UUID], age_s: float) -> int:
        """Delete those of these turns of one partition that may go, in one short transaction. Returns how many."""
        arguments = (lane, partition, turns, age_s)
        return int(await write_as(self._pool, _SQL["purge_turns"], self._role, self._term, *arguments))

    async def purge_strays(self, age_s: float, limit: int) -> int:
        """Delete old dead letters, and what was sent to turns that never came. Returns how many rows."""
        return int(await write_as(self._pool, _SQL["purge_strays"], self._role, self._term, age_s, limit))
