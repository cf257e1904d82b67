"""What Postgres has of a turn or a session, after what a client has.

Raises: StoreUnavailableError, TimeoutError
"""

import uuid
from collections.abc import AsyncIterator
from typing import Final, Protocol

from argosy.gateway.stream import sync_points
from argosy.gateway.stream.continuity import Continuity
from argosy.gateway.stream.event_id import EventId
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.turn_cursor import TurnCursor
from argosy.gateway.together import Together
from argosy.store import event as stored
from argosy.store import turn as turns
from argosy.store.pool import Pool

_PAGE_ROWS_MAX: Final = 200  # of one page; see the next line, too
# How much data of events one page has; the event that passes this bound is the last.
_PAGE_SIZE_BYTES_MAX: Final = 65_536
# How far back a session is searched for an event that the client has; without one its stream begins anew.
_TURNS_BACK_MAX: Final = 1_000


# The question: a turn, and the seq of the last event that is known of it. The answer is True when there are others.
MoreEvents = Together[tuple[uuid.UUID, int], bool]


class MovedTurns:
    """Answers MoreEvents, which all streams of this process share."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def answer(self, questions: list[tuple[uuid.UUID, int]]) -> dict[tuple[uuid.UUID, int], bool]:
        return {questions[index]: True for index in await turns.find_moved_turns(self._pool, questions)}


class Turns(Protocol):
    """The turns of one tenant, as the routes find and show them."""

    async def find(self, turn_id: uuid.UUID) -> turns.TurnHead | None:
        """Return the turn that the id means (a duplicate's id means the first turn), or None while it may still come
        out of the log. Raises Problem when there is no such turn.
        """

    async def snapshot(self, turn_id: uuid.UUID) -> bytes:
        """Return the turn as GET shows it, JSON. Raises Problem when there is no such turn."""


class History:
    """Reads the history of one tenant's turns."""

    def __init__(
        self,
        pool: Pool,
        tenant: str,
        lane: str,
        more_events: MoreEvents,
        shown: Turns,
        result_size_bytes_max: int,
    ) -> None:
        self._pool = pool
        self._more_events = more_events
        self._tenant = tenant
        self._lane = lane
        self._shown = shown
        self._result_size_bytes_max = result_size_bytes_max

    async def read(self, cursor: TurnCursor) -> AsyncIterator[list[Message]]:
        """Yield messages of all that Postgres has after what the client has.

        Ends when there is no more, after the ending, and when history has no event of the client's (cursor.is_lost).
        """
        while True:
            rows = await stored.list_stream_events(
                self._pool,
                cursor.turn_id,
                self._tenant,
                self._lane,
                begin=cursor.seq,
                limit=_PAGE_ROWS_MAX,
                size_bytes_max=_PAGE_SIZE_BYTES_MAX,
                result_size_bytes_max=self._result_size_bytes_max,
            )
            await sync_points.reach("read")
            size_bytes = sum(max(len(row.data), row.sealed_size_bytes) for row in rows)
            is_last = len(rows) < _PAGE_ROWS_MAX and size_bytes < _PAGE_SIZE_BYTES_MAX
            found = cursor.check(rows[0] if rows else None)
            if found is Continuity.FORKED:
                common = await self._common(cursor)
                if common is None:
                    cursor.is_lost = True
                    return
                yield [cursor.resync(*common)]
                continue
            messages: list[Message] = []
            if found is Continuity.FORGOTTEN:
                messages.append(cursor.skip_to(rows[0], await self._shown.snapshot(cursor.turn_id)))
            for row in rows:
                if row.seq > cursor.seq:
                    messages += cursor.advance(row)
            if messages:
                yield messages
            if is_last or cursor.is_over:
                return

    async def has_more(self, cursor: TurnCursor) -> bool:
        """Whether there may be something to read; False also when Postgres cannot be asked."""
        return not cursor.seq or bool(await self._more_events.ask((cursor.turn_id, cursor.seq)))

    async def first_turn_from(self, session_id: uuid.UUID, place: int) -> tuple[uuid.UUID, int] | None:
        """Return the first turn of a session at this place or later, and its place."""
        return await turns.find_placed_turn(self._pool, session_id, self._tenant, self._lane, place=place)

    async def place_before_open(self, session_id: uuid.UUID) -> int:
        """Return the place before the first turn that has not ended."""
        return await turns.find_present_place(self._pool, session_id, self._tenant, self._lane)

    async def common_event(self, session_id: uuid.UUID, last: EventId) -> turns.PlacedEvent | None:
        """Return the last event of a session that history has and that a client with the last event `last` has, too."""
        return await turns.find_common_session_event(
            self._pool,
            session_id,
            self._tenant,
            self._lane,
            place=last.place,
            seq=last.seq,
            lineage=last.lineage,
            turns_max=_TURNS_BACK_MAX,
        )

    async def _common(self, cursor: TurnCursor) -> tuple[int, int] | None:
        return await turns.find_common_event(
            self._pool, cursor.turn_id, self._tenant, self._lane, seq=cursor.seq, lineage=cursor.lineage
        )
