"""One turn as it is read from outside a worker, with its payloads opened (argosy/seal).

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence

from argosy.seal.codec import UNREADABLE, Opener
from argosy.seal.envelope import is_sealed
from argosy.seal.places import error_of, event_of, input_of, result_of
from argosy.store import turn as stored
from argosy.store.pool import Pool
from argosy.store.turn import EventRow, TurnFacts, TurnShown


async def get_turn(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, *, steps_max: int, size_bytes_max: int
) -> TurnShown | None:
    """Return the turn, or None; see argosy.store.turn. Steps that do not open say so.

    Raises PayloadUnreadableError when its input, result or error does not open.
    """
    row = await stored.get_turn(pool, turn_id, tenant, lane, steps_max=steps_max, size_bytes_max=size_bytes_max)
    if row is None:
        return None
    values = [row.input, row.result, row.error, *(each.data for each in row.step_events)]
    if not any(map(is_sealed, values)):
        return row
    opener = await pool.seals.opener((tenant, value) for value in values)
    return row._replace(
        input=None if row.input is None else opener.open(tenant, row.input, input_of(tenant, row.turn_id)),
        result=None if row.result is None else opener.open(tenant, row.result, result_of(tenant, row.turn_id)),
        error=None if row.error is None else opener.open(tenant, row.error, error_of(tenant, row.turn_id)),
        step_events=opened_events(opener, tenant, row.turn_id, row.step_events),
    )


async def explain_turn(
    pool: Pool, turn_id: uuid.UUID, tenant: str, lane: str, *, heartbeat_ttl_s: float, handover_s: float, partition: int
) -> TurnFacts | None:
    """Return the facts that decide whether the turn runs; see argosy.store.turn. What does not open says so."""
    facts = await stored.explain_turn(
        pool, turn_id, tenant, lane, heartbeat_ttl_s=heartbeat_ttl_s, handover_s=handover_s, partition=partition
    )
    if facts is None or not any(map(is_sealed, (facts.parked, *(data for _, data in facts.retrying)))):
        return facts
    opener = await pool.seals.opener((tenant, data) for data in (facts.parked, *(data for _, data in facts.retrying)))
    parked = facts.parked
    if parked is not None and facts.parked_seq is not None:
        parked = opener.open_or(tenant, parked, event_of(tenant, turn_id, facts.parked_seq), UNREADABLE)
    retrying = [
        (key, opener.open_or(tenant, data, event_of(tenant, turn_id, seq), UNREADABLE))
        for (key, data), seq in zip(facts.retrying, facts.retrying_seqs, strict=True)
    ]
    return facts._replace(parked=parked, retrying=retrying)


def opened_events(opener: Opener, tenant: str, turn_id: uuid.UUID, rows: Sequence[EventRow]) -> list[EventRow]:
    """Return events with their data opened; the data of one that does not open says so."""
    return [
        row._replace(data=opener.open_or(tenant, row.data, event_of(tenant, turn_id, row.seq), UNREADABLE))
        if is_sealed(row.data)
        else row
        for row in rows
    ]
