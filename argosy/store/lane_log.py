"""Which log a lane's positions belong to, as its workers last saw it.

Raises: StoreUnavailableError
"""

import uuid
from typing import Final, NamedTuple

from argosy.log import Identity
from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("lane_log")


class LaneLog(NamedTuple):
    """The log of a lane. topic: its name. is_in_use: another living worker of the lane uses it."""

    identity: Identity
    topic: str
    is_in_use: bool

    def is_other(self, seen: Identity, topic: str) -> bool:
        """Whether `seen` has another cluster or topic name, and so is not the same topic made again."""
        return (self.identity.cluster_id, self.topic) != (seen.cluster_id, topic)

    def is_grown(self, seen: Identity) -> bool:
        """Whether `seen` is this very topic, with another number of partitions."""
        return self.identity.log_id == seen.log_id and self.identity.partition_count != seen.partition_count


class LaneLogs:
    """The log of one lane."""

    def __init__(self, pool: Pool, lane: str) -> None:
        self._pool = pool
        self._lane = lane

    async def find(self, me: uuid.UUID, ttl_s: float) -> LaneLog | None:
        """Return the lane's log, or None. me: the worker that asks.

        ttl_s: a worker counts as living when it was heard of within this time.
        """
        row = await self._pool.fetchrow(_SQL["find_lane_log"], self._lane, me, ttl_s)
        return None if row is None else LaneLog(Identity(row[0], row[1], row[3]), row[2], row[4])

    async def set(self, identity: Identity, topic: str, replaced: str | None) -> None:
        """Make this the lane's log from now on. replaced: what became of the log before it, in words."""
        cluster_id, topic_id, partition_count = identity
        await self._pool.execute(
            _SQL["set_lane_log"], self._lane, cluster_id, topic_id, topic, partition_count, replaced
        )

    async def note_missing(self, words: str) -> None:
        """Note that the log lacks records that were in it. words: what that means for users."""
        await self._pool.execute(_SQL["note_missing"], self._lane, words)
