"""Sessions, as they are read from outside a worker.

Raises: StoreUnavailableError
"""

import uuid
from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("session")


class SessionListed(NamedTuple):
    session_id: uuid.UUID
    name: str
    created_at: datetime


class SessionRow(NamedTuple):
    """head: the turn that holds the session, or would run next. turns_queued is counted to 10000."""

    name: str
    created_at: datetime
    head_turn_id: uuid.UUID | None
    head_status: str | None
    turns_queued: int


async def list_sessions(
    pool: Pool, tenant: str, lane: str, *, before: tuple[datetime, uuid.UUID], limit: int
) -> list[SessionListed]:
    """Newest first, those before a place in that order."""
    return [SessionListed(*row) for row in await pool.fetch(_SQL["list_sessions"], tenant, lane, *before, limit)]


async def get_session(pool: Pool, session_id: uuid.UUID, tenant: str, lane: str) -> SessionRow | None:
    """The session, or None while no turn of it was accepted."""
    row = await pool.fetchrow(_SQL["get_session"], session_id, tenant, lane)
    return None if row is None else SessionRow(*row)
