"""The durable events of a turn, page by page, as clients see them: with their payloads opened (argosy/seal).

The data of an event that does not open says so, and nothing else.
Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from argosy.seal.codec import UNREADABLE, Opener
from argosy.seal.envelope import is_sealed
from argosy.seal.places import event_of, result_of
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
    return await _events(pool, turn_id, tenant, rows, result_size_bytes_max)


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
    return await _events(pool, turn_id, tenant, rows, result_size_bytes_max)


async def _events(
    pool: Pool, turn_id: uuid.UUID, tenant: str, rows: Sequence[Any], result_size_bytes_max: int
) -> list[EventRow]:
    read = [(EventRow(*row[:-2]), row[-2], row[-1]) for row in rows]
    values = [value for event, _, result in read for value in (event.data, result) if is_sealed(value)]
    opener = await pool.seals.opener((tenant, value) for value in values) if values else Opener()
    return [_event(opener, turn_id, tenant, each, result_size_bytes_max) for each in read]


def _event(
    opener: Opener, turn_id: uuid.UUID, tenant: str, read: tuple[EventRow, int | None, bytes | None], bound: int
) -> EventRow:
    event, size_bytes, result = read
    if is_sealed(event.data):
        data = opener.open_or(tenant, event.data, event_of(tenant, turn_id, event.seq), UNREADABLE)
        event = event._replace(data=data, sealed_size_bytes=len(event.data))
    if size_bytes is None or not event.data:
        return event
    if is_sealed(result):
        # One that does not open is left out: whoever asks for the turn is told why.
        result = opener.open_or(tenant, result or b"", result_of(tenant, turn_id), b"") or None
        size_bytes = size_bytes if result is None else len(result)
    return event._replace(data=with_result(event.data, turn_id, result, size_bytes, size_bytes_max=bound))
