"""Dead letters: records that could not become turns, kept with their raw bytes.

They belong to a lane, because their tenant is not known.
Raises: StoreUnavailableError
"""

from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("dead_letter")


class DeadLetterRow(NamedTuple):
    """One dead letter. value_start: the first bytes of the record's value."""

    log_id: str
    partition: int
    position: int
    code: str
    reason: str
    at: datetime
    value_size_bytes: int
    value_start: bytes


async def list_dead_letters(
    pool: Pool, lane: str, *, before: tuple[datetime, str, int, int], value_size_bytes_max: int, limit: int
) -> list[DeadLetterRow]:
    """Return at most `limit` dead letters before `before`, the newest first.

    Each has at most value_size_bytes_max bytes of its record's value.
    """
    rows = await pool.fetch(_SQL["list_dead_letters"], lane, *before, value_size_bytes_max, limit)
    return [DeadLetterRow(*row) for row in rows]
