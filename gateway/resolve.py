"""From an id in a path to the turn that it means (I8; docs/architecture.md, "Keys and tenants").

An id with another tenant's tag means no turn, nor does one whose row is another tenant's. A duplicate's id means the
first turn. An id without a row means a turn that may still come: because another turn started it, or out of the log,
until workers have read the log past the moment at which the id was minted; after that it means no turn.
"""

import uuid
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from argosy import ids
from argosy.gateway import names
from argosy.gateway.problems import Problem
from argosy.gateway.state import State
from argosy.gateway.views import minted_at
from argosy.store import turn as turns
from argosy.store.pool import Pool

# The original of a duplicate is never a duplicate itself, but a turn that others were merged into may be merged, too.
_HOPS_MAX: Final = 16


class _Row(Protocol):
    @property
    def turn_id(self) -> uuid.UUID: ...
    @property
    def duplicate_of(self) -> uuid.UUID | None: ...


Row = TypeVar("Row", bound=_Row)
Read = Callable[[Pool, uuid.UUID, str, str], Awaitable[Row | None]]


def turn_id_of(text: str, tenant: str, lane: str) -> uuid.UUID:
    """Return the id, if it can be that of a turn of this tenant and lane. Raises Problem when it cannot."""
    turn_id = names.turn_id(text)
    if not ids.can_be_of(turn_id, tenant, lane):
        raise not_found(turn_id)
    return turn_id


async def resolve(state: State, read: Read[Row], turn_id: uuid.UUID, tenant: str) -> Row | None:
    """Return the row that an id means, or None while its turn may still come.

    Raises Problem when there is no such turn; StoreUnavailableError.
    """
    row = await _original(state, read, turn_id, tenant)
    if row is not None:
        return row
    if await is_expected(state, turn_id, tenant):
        return None
    # The turn may have been accepted between the two questions.
    row = await _original(state, read, turn_id, tenant)
    if row is None:
        raise not_found(turn_id)
    return row


async def is_expected(state: State, turn_id: uuid.UUID, tenant: str) -> bool:
    """Whether the turn of an id that has no row may still come."""
    settings = state.settings
    return await turns.is_turn_expected(
        state.pool,
        turn_id,
        tenant,
        settings.lane,
        partition_of(state, turn_id),
        minted_at(turn_id),
        settings.log_append_timeout_s,
    )


def partition_of(state: State, turn_id: uuid.UUID) -> int:
    """Return the partition of the log that has, or had, the record of a turn."""
    return ids.partition_of(ids.turn_bucket(turn_id), state.writer.partition_count)


def not_found(turn_id: uuid.UUID) -> Problem:
    return Problem("turn_not_found", f"{turn_id} is not a turn of yours")


async def _original(state: State, read: Read[Row], turn_id: uuid.UUID, tenant: str) -> Row | None:
    for _ in range(_HOPS_MAX):
        row = await read(state.pool, turn_id, tenant, state.settings.lane)
        if row is None or row.duplicate_of is None:
            return row
        turn_id = row.duplicate_of
    return row
