"""The durable events of a turn, page by page, as clients see them.

Raises: StoreUnavailableError
"""

import uuid
from typing import Any, Final

from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.store.turn import EventRow
from argosy.turn.ended import with_result

_SQL: Final = load_queries("event")


async def list_turn_events(
    pool: Pool,
    turn_id: uuid.UUID,
    tenant: str,
    lane: str,
    *,
    after: int,
    limit: int,
    size_bytes_max: int,
    result_size_bytes_max: int,
) -> list[EventRow]:
    """Return the first events with a seq above `after`, at most `limit`.

    Their data has at most size_bytes_max bytes, without the last event's. The data of turn.completed gets the turn's
    result when that is not larger than result_size_bytes_max.
    """
    bounds = (limit, size_bytes_max, result_size_bytes_max)
    rows = await pool.fetch(_SQL["list_turn_events"], turn_id, tenant, lane, after, *bounds)
    return [_event(turn_id, row, result_size_bytes_max) for row in rows]


async def list_stream_events(
    pool: Pool,
    turn_id: uuid.UUID,
    tenant: str,
    lane: str,
    *,
    begin: int,
    limit: int,
    size_bytes_max: int,
    result_size_bytes_max: int,
) -> list[EventRow]:
    """Return the events from number `begin` on, the first of them without its data; otherwise as list_turn_events."""
    bounds = (limit, size_bytes_max, result_size_bytes_max)
    rows = await pool.fetch(_SQL["list_stream_events"], turn_id, tenant, lane, begin, *bounds)
    return [_event(turn_id, row, result_size_bytes_max) for row in rows]


def _event(turn_id: uuid.UUID, row: Any, result_size_bytes_max: int) -> EventRow:
    *event, size_bytes, result = row
    found = EventRow(*event)
    if size_bytes is None or not found.data:
        return found
    data = with_result(found.data, turn_id, result, size_bytes, size_bytes_max=result_size_bytes_max)
    return found._replace(data=data)
