"""The fleet as an operator sees it: workers, partitions, and what waits in them. Nothing here is of one tenant.

Promise: no read costs more for a longer backlog; where there is more than was looked at, the answer says so.
Raises: StoreUnavailableError
"""

from collections.abc import Sequence
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("fleet")


class PartitionMeasure(NamedTuple):
    """What has not ended in a partition. Ages in seconds, None when there is no such turn.

    oldest_turn_s: of those that run or could run; oldest_waiting_s: of those that are suspended or parked.
    is_bounded: there is more than was looked at, so every number may be larger.
    """

    partition: int
    oldest_turn_s: float | None
    oldest_waiting_s: float | None
    open_turns: int
    is_bounded: bool


async def measure_partitions(
    pool: Pool, lane: str, buckets: dict[int, tuple[int, int]], *, sessions_max: int, turns_max: int
) -> list[PartitionMeasure]:
    """buckets: first and last of each partition. sessions_max, turns_max: looked at in each of them at the most."""
    firsts: Sequence[int] = [first for first, _ in buckets.values()]
    lasts: Sequence[int] = [last for _, last in buckets.values()]
    rows = await pool.fetch(_SQL["measure_partitions"], lane, list(buckets), firsts, lasts, sessions_max, turns_max)
    return [PartitionMeasure(*row) for row in rows]
