"""What a worker reads about its turns: heads after a claim, the next turns of a session, histories, due rows.

Promise: no read costs more for a longer backlog behind a head. Every read is of one lane.
Raises: StoreUnavailableError
"""

import math
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from argosy.store.pool import Pool
from argosy.store.queries import load_queries
from argosy.turn.inbox import Queue, queue_of

_SQL = load_queries("head")
_EVENTS_PER_PAGE: Final = 5_000  # beside the bound in bytes: a page of tiny events is small, too
_ANY_SIZE: Final = 2**62  # no bound
_DUE_COLUMNS: Final = 8  # columns of an inbox row; the columns after them are its turn's


class Head(NamedTuple):
    """A turn that has not ended.

    input: None when it is larger than the bound. has_rows: signals or step results wait for it. written_at_s: database
    time of its last event, or of its acceptance; infinite where the query does not ask for it. created_by: who posted
    it, as JSON; it is asked for wherever the input is, without which a turn is loaded before it runs. due_s: database
    time before which it was not to run; None: it was not delayed, or the query does not ask for it.
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
    has_rows: bool
    lent_to: uuid.UUID | None = None
    lent_as: str | None = None
    written_at_s: float = math.inf
    created_by: bytes | None = None
    due_s: float | None = None


EventRow = tuple[int, int, str, str, bytes]  # seq, attempt, type, key, data
SignalRow = tuple[uuid.UUID, str, bytes | None]  # inbox_id, name, payload
TimerRow = tuple[str, uuid.UUID, bool, float]  # key of the wait, inbox_id, whether it is buffered, due_at_s
ResultRow = tuple[uuid.UUID, str, str, bytes]  # inbox_id, type, key, data


class LoadedTurn(NamedTuple):
    """A turn with everything that running it needs.

    signals: in the order in which they were sent. size_bytes: of its input, events, signals and results. When that was
    too much, input, events and results are None and signals have no payloads. written_at_s: database time of its last
    event, or of its acceptance. created_by: who posted it, as JSON. due_s: database time before which it was not to
    run; None: it was not delayed. fault: why one of its payloads does not open; then it has none either.
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
    trial: bytes | None
    size_bytes: int
    events: list[EventRow] | None
    signals: list[SignalRow]
    timers: list[TimerRow]
    results: list[ResultRow] | None
    written_at_s: float = math.inf
    lent_to: uuid.UUID | None = None
    created_by: bytes | None = None
    due_s: float | None = None
    fault: str = ""


class DueRow(NamedTuple):
    """An inbox row that is due.

    head: the turn that it is meant for, waits: what that turn waits for; both None when the turn never came. A Head
    that is read with due rows has no input, and its has_rows means nothing. tenant: of the turn, where it has no head.
    """

    inbox_id: uuid.UUID
    turn_id: uuid.UUID
    bucket: int
    kind: str
    name: str
    correlation: str
    payload: bytes | None
    waits: bytes | None
    head: Head | LoadedTurn | None
    tenant: str | None = None

    @property
    def queue(self) -> Queue:
        return queue_of(self.kind, self.name)


class SentSignal(NamedTuple):
    """A signal that is due. payload: JSON. tenant: its turn's."""

    inbox_id: uuid.UUID
    turn_id: uuid.UUID
    bucket: int
    name: str
    payload: bytes | None
    tenant: str = ""


class NextDue(NamedTuple):
    """What waits in some buckets beside the rows that are due.

    next_due_s: in how many seconds the next row falls due, or None. has_starts: whether turns that other turns started
    wait there to be accepted.
    """

    next_due_s: float | None
    has_starts: bool


class Heads:
    """The reads of one lane."""

    def __init__(
        self, pool: Pool, lane: str, *, input_size_bytes_max: int, load_size_bytes_max: int = 8_388_608
    ) -> None:
        self._pool = pool
        self._lane = lane
        self._input_max = input_size_bytes_max
        self.load_size_bytes_max = load_size_bytes_max

    async def load_heads(self, bucket: int, after: uuid.UUID, last_bucket: int, limit: int) -> list[Head]:
        """Return the heads of at most `limit` sessions after (bucket, after), in that order."""
        rows = await self._pool.fetch(
            _SQL["load_heads"], self._lane, bucket, after, last_bucket, limit, self._input_max
        )
        return [Head(*row) for row in rows]

    async def load_sessions(self, sessions: Sequence[tuple[int, uuid.UUID]], limit: int) -> list[Head]:
        """Return the first `limit` open turns of each (bucket, session_id), session by session, in order."""
        buckets, session_ids = zip(*sessions, strict=True)
        rows = await self._pool.fetch(_SQL["load_sessions"], self._lane, buckets, session_ids, limit, self._input_max)
        return [Head(*row) for row in rows]

    async def load_head(self, turn_id: uuid.UUID) -> Head | None:
        """Return a turn without its input and events: all that can be read of one that is too large to load."""
        rows = await self._pool.fetch(_SQL["load_head"], turn_id, self._lane)
        return Head(*rows[0]) if rows else None

    async def load_turns(self, turn_ids: Sequence[uuid.UUID]) -> list[LoadedTurn]:
        """Return the turns in the order in which they are asked for, whole as far as LOAD_SIZE_BYTES_MAX goes."""
        return await self._load(turn_ids, None)

    async def load_suspended(self, turn_ids: Sequence[uuid.UUID], events_max: int) -> list[LoadedTurn]:
        """Return the suspended ones of the turns with at most events_max events, as far as LOAD_SIZE_BYTES_MAX goes."""
        return [each for each in await self._load(turn_ids, events_max) if each.events is not None]

    async def load_whole(self, turn_id: uuid.UUID) -> LoadedTurn | None:
        """Return one turn, however large: its history page by page, then the rest.

        Nothing may change the turn meanwhile.
        """
        events: list[EventRow] = []
        while page := await self._pool.fetch(
            _SQL["load_history"], turn_id, events[-1][0] if events else 0, _EVENTS_PER_PAGE, self.load_size_bytes_max
        ):
            events += page
        rows = await self._load([turn_id], None, size_bytes_max=_ANY_SIZE, with_events=False)
        return rows[0]._replace(events=events) if rows else None

    async def _load(
        self,
        turn_ids: Sequence[uuid.UUID],
        events_max: int | None,
        *,
        size_bytes_max: int | None = None,
        with_events: bool = True,
    ) -> list[LoadedTurn]:
        size_bytes_max = self.load_size_bytes_max if size_bytes_max is None else size_bytes_max
        rows = await self._pool.fetch(_SQL["load_turns"], turn_ids, self._lane, events_max, size_bytes_max, with_events)
        return [LoadedTurn(*row) for row in rows]

    async def await_signals(self, turn_ids: Sequence[uuid.UUID]) -> list[SentSignal]:
        """Return the due signals of these turns, in the order in which they were sent.

        Waits, though not for long, for signals that are being written now. Stops after LOAD_SIZE_BYTES_MAX of payloads;
        the worker finds the rest as due rows.
        """
        rows = await self._pool.fetch(_SQL["await_signals"], turn_ids, self._lane, self.load_size_bytes_max)
        return [SentSignal(*row) for row in rows]

    async def due_inbox(
        self,
        ranges: Sequence[tuple[int, int]],
        known: Collection[uuid.UUID],
        rows_max: Mapping[Queue, int],
        size_bytes_max: int,
    ) -> list[DueRow]:
        """Return the rows due in these ranges of buckets (both ends inclusive): the oldest rows_max of each queue.

        Rows in `known` are left out. The payloads of one queue add up to at most size_bytes_max, without the last
        row's.
        """
        firsts, lasts = zip(*ranges, strict=True)
        queues, limits = list(rows_max), list(rows_max.values())
        rows = await self._pool.fetch(
            _SQL["due_inbox"], self._lane, firsts, lasts, known, queues, limits, size_bytes_max
        )
        return _due_of(rows)

    async def due_of_turns(
        self, turn_ids: Sequence[uuid.UUID], known: Collection[uuid.UUID], rows_max: int, size_bytes_max: int
    ) -> list[DueRow]:
        """Return the rows that are due for these turns, the oldest first, at most rows_max.

        Rows in `known` are left out; size_bytes_max as in due_inbox.
        """
        rows = await self._pool.fetch(_SQL["due_of_turns"], self._lane, turn_ids, known, rows_max, size_bytes_max)
        return _due_of(rows)

    async def hasten_retries(
        self, ranges: Sequence[tuple[int, int]], shard: uuid.UUID, within_s: float, rows_max: int
    ) -> int:
        """Make due at once what waits in these ranges for another try because of a shard, at most rows_max of what is
        due within within_s. Returns how many rows these were.
        """
        firsts, lasts = zip(*ranges, strict=True)
        arguments = (self._lane, firsts, lasts, str(shard), within_s, rows_max)
        return int(await self._pool.fetchval(_SQL["hasten_retries"], *arguments))

    async def next_due(self, ranges: Sequence[tuple[int, int]]) -> NextDue:
        """Return what waits in these ranges beside the rows that are due."""
        firsts, lasts = zip(*ranges, strict=True)
        return NextDue(*await self._pool.fetchrow(_SQL["next_due"], self._lane, firsts, lasts))


def _due_of(rows: Sequence[Any]) -> list[DueRow]:
    """Make DueRows from rows of which only the first of each turn has what the turn waits for.

    The turn's other rows get the same value.
    """
    waits: dict[uuid.UUID, bytes | None] = {}
    return [
        DueRow._make((*row[: _DUE_COLUMNS - 1], waits.setdefault(row[1], row[_DUE_COLUMNS - 1]), _head_of(row), None))
        for row in rows
    ]


def _head_of(row: Any) -> Head | None:
    _, turn_id, bucket = row[:3]
    tenant, session_id, session, place, workflow, version, status, attempt, crashes, seq, priority = row[_DUE_COLUMNS:]
    if status is None:
        return None
    return Head(
        turn_id, tenant, session_id, session, bucket, place, workflow, version, status, attempt, crashes, seq, priority,
        None, has_rows=True,
    )  # fmt: skip
