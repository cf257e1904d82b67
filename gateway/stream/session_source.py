"""The source of a session's messages: its turns one after the other, in the order in which they start. It has no end.

The events of a turn that ended without starting come at the turn's place. Turns that never had a place (duplicates, and
turns that were rejected at once) are left out.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

from argosy.gateway.stream import sync_points
from argosy.gateway.stream.event_id import BEGIN, EventId
from argosy.gateway.stream.history import History
from argosy.gateway.stream.message import Message, make_message, resync_data
from argosy.gateway.stream.place_cipher import PlaceCipher
from argosy.gateway.stream.source import READ_FIRST, Reading, ReadReason, Received, Then
from argosy.gateway.stream.subscription import Target
from argosy.gateway.stream.turn_cursor import TurnCursor
from argosy.turn.events import ENDINGS, Event, WireEvent

_NOTHING: Final[Received] = ([], Then.GO_ON)


class SessionSource:
    """The source of a session; see Source. after: the last that the client has; None: begin at the first turn that has
    not ended.
    """

    def __init__(
        self,
        history: History,
        tenant: str,
        session_id: uuid.UUID,
        after: EventId | None,
        cipher: PlaceCipher,
        *,
        partition: int,
    ) -> None:
        self.target = Target(tenant, partition, session_id=session_id)
        self.is_over = False
        self._history = history
        self._session_id = session_id
        self._after = after
        self._cipher = cipher
        # The turn whose events are being sent; None: those of every turn up to _place were sent.
        self._cursor: TurnCursor | None = None
        self._place = 0
        # The last event of the turn before, once that turn was sent to its end.
        self._last: EventId | None = None

    def resume(self) -> tuple[int, int]:
        return (0, 0) if self._cursor is None else self._cursor.resume

    async def find(self) -> bool:
        after = self._after
        if after is None:
            self._place = await self._history.place_before_open(self._session_id)
        elif after.place:
            await self._go_on_after(after)
        return False

    async def begin(self) -> bool:
        return True

    async def read(self, reading: Reading) -> AsyncIterator[list[Message]]:
        if not (self._cursor and self._cursor.seq) and self._may_have_forked(reading):
            await self._look_again()
        while True:
            cursor = self._cursor
            if cursor is None:
                found = await self._history.first_turn_from(self._session_id, self._place + 1)
                if found is None:
                    return
                cursor = self._cursor = self._cursor_of(found[0], BEGIN, found[1])
            if not cursor.is_lost:
                async for messages in self._history.read(cursor):
                    yield messages
            if cursor.is_lost:
                yield await self._go_back(cursor)
            elif not cursor.is_over:
                return
            else:
                self._end(cursor)

    async def has_more(self) -> bool:
        return self._cursor is None or await self._history.has_more(self._cursor)

    def receive(self, item: Any, *, has_read: bool) -> Received:
        field = item.WhichOneof("what")
        if field == "look":
            return _NOTHING if has_read else READ_FIRST
        what = getattr(item, field)
        cursor = self._cursor
        if cursor is None and not has_read and field == "event" and self._is_next(what):
            cursor = self._cursor = self._cursor_of(uuid.UUID(bytes=what.turn_id), BEGIN, what.place)
        if cursor is not None and what.turn_id == cursor.turn_id.bytes:
            messages = cursor.receive(item, has_read=has_read)
            if messages is None:
                return READ_FIRST
            if not cursor.is_over:
                return messages, Then.GO_ON
            self._end(cursor)
            return messages, Then.READ  # the next turn may have ended already
        if not has_read and cursor is None and self._last is not None and what.lineage > self._last.lineage:
            return READ_FIRST  # history may have forked before the client's last event
        if has_read or what.place <= (self._place if cursor is None else cursor.place):
            return _NOTHING
        if cursor is not None and field == "event" and what.type in ENDINGS and what.attempt == 0:
            return _NOTHING  # this turn ended behind the one that is being sent, and comes after it
        return READ_FIRST

    async def _go_on_after(self, last: EventId) -> None:
        """Go on after this event: the client has everything up to it. The next read shows whether history has it."""
        self._place = last.place - 1
        found = await self._history.first_turn_from(self._session_id, last.place)
        await sync_points.reach("found")
        if found is not None and found[1] == last.place:
            self._cursor = self._cursor_of(found[0], last, last.place)
        else:
            # No turn has this place any more. It was forgotten, unless history has an event before it that the client
            # has: then the database went back (_go_back).
            self._cursor = self._cursor_of(uuid.UUID(int=0), last, last.place)
            self._cursor.is_lost = True

    async def _look_again(self) -> None:
        """Check whether history still has the last event that was sent, and find the next turn again.

        A turn of which nothing was sent may not be there any more.
        """
        if self._last is not None:
            await self._go_on_after(self._last)
            return
        self._cursor = None
        if self._after is None:
            self._place = min(self._place, await self._history.place_before_open(self._session_id))

    def _end(self, cursor: TurnCursor) -> None:
        """Note that a turn was sent to its end, and go on behind its place."""
        self._last = EventId(cursor.lineage, cursor.seq, place=cursor.place)
        self._place, self._cursor = cursor.place, None

    def _may_have_forked(self, reading: Reading) -> bool:
        """Whether the database may have gone back since the last turn was sent.

        What was written under a lineage is undone only under a newer one. So an owner that claimed under the lineage of
        the last event that was sent, or under an older one, shows that this event was not undone: if it is not there
        any more, it was forgotten.
        """
        if self._last is None:
            return reading.reason is ReadReason.SUBSCRIBED
        return reading.lineage > self._last.lineage

    async def _go_back(self, cursor: TurnCursor) -> list[Message]:
        """Return the messages for a client that has events of a turn which history does not have (any more)."""
        last = EventId(cursor.lineage, cursor.seq, place=cursor.place)
        common = await self._history.common_event(self._session_id, last)
        if common is not None:
            self._cursor = self._cursor_of(common.turn_id, BEGIN, common.place)
            return [self._cursor.resync(common.lineage, common.seq)]
        if cursor.turn_id.int and not await self._is_at(cursor.place):
            # The turn was forgotten after it was found and before its history was read: one transaction deletes both.
            cursor.turn_id = uuid.UUID(int=0)
        is_forgotten = cursor.turn_id.int == 0
        self._place, self._cursor = (cursor.place if is_forgotten else 0), None
        if is_forgotten:
            return []
        return [make_message(WireEvent.RESYNC, "0:0-0", str(cursor.turn_id), 0, 0, None, resync_data(0))]

    def _cursor_of(self, turn_id: uuid.UUID, after: EventId, place: int) -> TurnCursor:
        return TurnCursor(turn_id, after, place, self._cipher.seal(place))

    async def _is_at(self, place: int) -> bool:
        """Whether a turn has this place."""
        found = await self._history.first_turn_from(self._session_id, place)
        return found is not None and found[1] == place

    def _is_next(self, event: Any) -> bool:
        """Whether nothing comes before this event, while no turn is being sent.

        A turn starts when those before it have ended, and what the owner sent of them has been sent on by now. Whatever
        else may come first is read from Postgres.
        """
        is_same_history = self._last is None or event.lineage <= self._last.lineage
        is_start = event.seq == 1 and event.type == Event.TURN_STARTED
        return bool(is_start and is_same_history and event.place > self._place)
