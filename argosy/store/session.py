"""Sessions, as they are read from outside a worker.

Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("session")


class SessionListed(NamedTuple):
    """A session in a list."""

    session_id: uuid.UUID
    name: str
    created_at: datetime


class SessionRow(NamedTuple):
    """One session. head: the turn that holds the session, or would run next. turns_queued: counted up to 10,000."""

    name: str
    created_at: datetime
    head_turn_id: uuid.UUID | None
    head_status: str | None
    turns_queued: int


async def list_sessions(
    pool: Pool,
    tenant: str,
    lane: str,
    *,
    before: tuple[datetime, uuid.UUID],
    limit: int,
    patterns: Sequence[str] | None = None,
) -> list[SessionListed]:
    """Return at most `limit` sessions created before `before`, the newest first. patterns: only with such a name: a
    name, or how it begins and `*`.
    """
    if patterns is None:
        rows = await pool.fetch(_SQL["list_sessions"], tenant, lane, *before, limit)
    else:
        names = [each for each in patterns if not each.endswith("*")]
        begins = [each[:-1] for each in patterns if each.endswith("*")]
        rows = await pool.fetch(_SQL["list_sessions_like"], tenant, lane, *before, limit, names, begins)
    return [SessionListed(*row) for row in rows]


async def get_session(pool: Pool, session_id: uuid.UUID, tenant: str, lane: str) -> SessionRow | None:
    """Return the session, or None while no turn of it was accepted."""
    row = await pool.fetchrow(_SQL["get_session"], session_id, tenant, lane)
    return None if row is None else SessionRow(*row)
