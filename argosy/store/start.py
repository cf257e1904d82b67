"""Turns that other turns started and nobody has accepted yet: rows of `starts`. Every read is of one lane.

A flush writes such a row (functions/flush.sql), and the accept of the turn deletes it (functions/accept.sql).
Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Collection, Sequence
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("start")


class StartRow(NamedTuple):
    """A turn that another turn of its tenant started. record: as in the log (argosy/record.py). created_by: who posted
    the turn that started it, or None.
    """

    turn_id: uuid.UUID
    bucket: int
    tenant: str
    session_id: uuid.UUID
    record: bytes
    created_by: bytes | None = None


class StartBounds(NamedTuple):
    """Bounds for one read. size_bytes_max: of the records, without the last one."""

    rows_max: int
    rows_per_bucket_max: int
    size_bytes_max: int


class StartRows:
    """Reads rows of `starts`."""

    def __init__(self, pool: Pool, lane: str) -> None:
        self._pool = pool
        self._lane = lane

    async def due(
        self,
        ranges: Sequence[tuple[int, int]],
        after_bucket: int,
        bounds: StartBounds,
        without: Collection[uuid.UUID] = (),
    ) -> list[StartRow]:
        """Return starts of these ranges of buckets (both ends inclusive) after a bucket, bucket by bucket.

        Those of one bucket come in the order in which they were asked for.
        """
        firsts, lasts = zip(*ranges, strict=True)
        rows = await self._pool.fetch(
            _SQL["due_starts"],
            self._lane,
            firsts,
            lasts,
            after_bucket,
            bounds.rows_per_bucket_max,
            bounds.rows_max,
            bounds.size_bytes_max,
            without,
        )
        return [StartRow(*row) for row in rows]
