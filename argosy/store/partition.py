"""Who owns what, and where each partition of a log is accepted up to.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL: Final = load_queries("partition")


class Partitions:
    """One worker's hand on the partitions of its lane."""

    def __init__(self, pool: Pool, worker_id: uuid.UUID, address: str, lane: str) -> None:
        self._pool = pool
        self._worker_id = worker_id
        self._address = address
        self._lane = lane

    async def claim(self, partitions: Sequence[int]) -> dict[int, int]:
        """The new epoch of each. From here on nothing of an older epoch can be written."""
        rows = await self._pool.fetch(_SQL["claim"], self._worker_id, self._address, self._lane, partitions)
        return {row[0]: row[1] for row in rows}

    async def release(self, partitions: Sequence[int], epochs: Sequence[int]) -> None:
        await self._pool.execute(_SQL["release"], self._worker_id, self._lane, partitions, epochs)

    async def open_positions(self, log_id: str, begins: Mapping[int, int]) -> dict[int, int]:
        """The position of each partition in this log; one that was never read begins where the log does."""
        await self._pool.execute(_SQL["open_positions"], log_id, self._lane, list(begins), list(begins.values()))
        rows = await self._pool.fetch(_SQL["list_positions"], log_id, list(begins))
        return {row[0]: row[1] for row in rows}
