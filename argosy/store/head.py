"""What a worker reads of the turns it owns: heads after a claim, the next turns of a session, histories, due rows.

Promise: no read costs more for a longer backlog behind a head. Every read is of one lane.
Raises: StoreUnavailableError
"""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries

_SQL = load_queries("head")


class Head(NamedTuple):
    """A turn that has not ended. input is None when it is larger than the bound; has_rows: signals or results wait."""

    turn_id: uuid.UUID
    tenant: str
    session_id: uuid.UUID
    session: str
    bucket: int
    place: int
    workflow: str
    version: str | None
    status: str
    attempt: int
    crashes: int
    seq: int
    priority: int
    input: bytes | None
    has_rows: bool


class LoadedTurn(NamedTuple):
    """All of a turn. events: (seq, attempt, type, key, data); signals: (inbox_id, name, payload) in the order they were
    sent; timers: (key of the wait, inbox_id); results: (inbox_id, type, key, data).
    """

    turn_id: uuid.UUID
    tenant: str
    session_id: uuid.UUID
    session: str
    bucket: int
    place: int
    workflow: str
    version: str | None
    status: str
    attempt: int
    crashes: int
    seq: int
    priority: int
    input: bytes | None
    waits: bytes | None
    events: list[Any]
    signals: list[Any]
    timers: list[Any]
    results: list[Any]


class DueRow(NamedTuple):
    """An inbox row that is due. status: of the turn it is meant for, None while that is not accepted."""

    inbox_id: uuid.UUID
    turn_id: uuid.UUID
    bucket: int
    kind: str
    name: str
    correlation: str
    payload: bytes | None
    status: str | None


class SentSignal(NamedTuple):
    """A signal that is due. payload: JSON."""

    inbox_id: uuid.UUID
    turn_id: uuid.UUID
    bucket: int
    name: str
    payload: bytes | None


class Heads:
    """The reads of one lane."""

    def __init__(self, pool: Pool, lane: str, *, input_size_bytes_max: int) -> None:
        self._pool = pool
        self._lane = lane
        self._input_max = input_size_bytes_max

    async def load_heads(self, bucket: int, after: uuid.UUID, last_bucket: int, limit: int) -> list[Head]:
        """The head of each session after (bucket, after), in that order, at most limit."""
        rows = await self._pool.fetch(
            _SQL["load_heads"], self._lane, bucket, after, last_bucket, limit, self._input_max
        )
        return [Head(*row) for row in rows]

    async def load_sessions(self, sessions: Sequence[tuple[int, uuid.UUID]], limit: int) -> list[Head]:
        """The first `limit` turns of each (bucket, session_id) that have not ended; session by session, in order."""
        buckets, session_ids = zip(*sessions, strict=True)
        rows = await self._pool.fetch(_SQL["load_sessions"], self._lane, buckets, session_ids, limit, self._input_max)
        return [Head(*row) for row in rows]

    async def load_turns(self, turn_ids: Sequence[uuid.UUID]) -> list[LoadedTurn]:
        return await self._load(turn_ids, None)

    async def load_suspended(self, turn_ids: Sequence[uuid.UUID], events_max: int) -> list[LoadedTurn]:
        """Those of the turns that are suspended and have no more events than that."""
        return await self._load(turn_ids, events_max)

    async def _load(self, turn_ids: Sequence[uuid.UUID], events_max: int | None) -> list[LoadedTurn]:
        rows = await self._pool.fetch(_SQL["load_turns"], turn_ids, self._lane, events_max)
        return [LoadedTurn(*row) for row in rows]

    async def await_signals(self, turn_ids: Sequence[uuid.UUID]) -> list[SentSignal]:
        """Signals of these turns that are due, in the order in which they were sent. Those that are being written now
        are waited for, but not for long.
        """
        return [SentSignal(*row) for row in await self._pool.fetch(_SQL["await_signals"], turn_ids, self._lane)]

    async def due_inbox(self, ranges: Sequence[tuple[int, int]], limit: int) -> list[DueRow]:
        """Rows due in these ranges of buckets (both ends inclusive), the oldest first."""
        firsts, lasts = zip(*ranges, strict=True)
        return [DueRow(*row) for row in await self._pool.fetch(_SQL["due_inbox"], self._lane, firsts, lasts, limit)]

    async def next_due_s(self, ranges: Sequence[tuple[int, int]]) -> float | None:
        """In how many seconds the next row of these ranges falls due; None when none is waiting."""
        firsts, lasts = zip(*ranges, strict=True)
        seconds: float | None = await self._pool.fetchval(_SQL["next_due"], self._lane, firsts, lasts)
        return seconds
