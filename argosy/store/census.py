"""What role census counts, a bounded number of rows in each statement.

Raises: StoreUnavailableError
"""

import uuid
from typing import Final, NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("census")


class OpenPlace(NamedTuple):
    """A place in the order of the turns that have not ended."""

    lane: str
    bucket: int
    session_id: uuid.UUID
    place: int


FIRST: Final = OpenPlace("", -1, uuid.UUID(int=0), -1)


class OpenCounted(NamedTuple):
    """Turns of one lane and status. oldest_s: the age of the oldest, since it was accepted or fell due."""

    lane: str
    status: str
    turns: int
    oldest_s: float


async def count_open(pool: Pool, after: OpenPlace, limit: int) -> tuple[list[OpenCounted], OpenPlace]:
    """Count at most `limit` of the turns after a place that have not ended. Returns their numbers, and up to where."""
    rows = await pool.fetch(_SQL["count_open"], *after, limit)
    return [OpenCounted(*row[:4]) for row in rows], OpenPlace(*rows[0][4:]) if rows else after


async def count_dead_letters(pool: Pool, lane_max: int) -> dict[str, int]:
    """Return how many dead letters each lane has; of one that has lane_max or more, lane_max."""
    return {row[0]: row[1] for row in await pool.fetch(_SQL["count_dead_letters"], lane_max)}
