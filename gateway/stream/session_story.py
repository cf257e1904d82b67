"""The story of a session: its turns one after the other, in the order in which they start. It has no end.

The events of a turn that ended without starting come at the turn's place. Turns that never had a place (duplicates, and
turns that were rejected at once) are not in the story.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from argosy.gateway.stream import message, points
from argosy.gateway.stream.event_id import BEGIN, EventId
from argosy.gateway.stream.history import History
from argosy.gateway.stream.lines import Lines
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.places import Places
from argosy.gateway.stream.story import Story
from argosy.gateway.stream.subscription import Wanted
from argosy.gateway.stream.tale import Tale
from argosy.turn.events import ENDINGS, Event, WireEvent


class SessionStory(Story):
    """The story of a session. after: the last that the client has; None: begin at the first turn that has not ended."""

    def __init__(
        self,
        lines: Lines,
        history: History,
        tenant: str,
        session_id: uuid.UUID,
        after: EventId | None,
        places: Places,
        *,
        partition: int,
        heartbeat_s: float,
    ) -> None:
        super().__init__(lines, Wanted(tenant, partition, session_id=session_id), heartbeat_s)
        self._history = history
        self._session_id = session_id
        self._after = after
        self._places = places
        # The turn whose events are being sent; None: those of every turn up to _place were sent.
        self._tale: Tale | None = None
        self._place = 0
        # The last event of the turn before, once that turn was sent to its end.
        self._last: EventId | None = None

    async def begin(self) -> bool:
        """See Story.begin."""
        after = self._after
        if after is None:
            self._place = await self._history.present(self._session_id)
        elif after.place:
            await self._go_on_after(after)
        return True

    @property
    def is_over(self) -> bool:
        """See Story.is_over."""
        return False

    async def _go_on_after(self, last: EventId) -> None:
        """Go on after this event: the client has everything up to it. The next read shows whether history has it."""
        self._place = last.place - 1
        found = await self._history.placed(self._session_id, last.place)
        await points.reach("found")
        if found is not None and found[1] == last.place:
            self._tale = self._tale_of(found[0], last, last.place)
        else:
            # No turn has this place any more. It was forgotten, unless history has an event before it that the client
            # has: then the database went back (_go_back).
            self._tale = self._tale_of(uuid.UUID(int=0), last, last.place)
            self._tale.is_lost = True

    async def _read(self) -> AsyncIterator[list[Message]]:
        if not (self._tale and self._tale.seq) and self._may_have_forked():
            await self._look_again()
        while True:
            tale = self._tale
            if tale is None:
                found = await self._history.placed(self._session_id, self._place + 1)
                if found is None:
                    return
                tale = self._tale = self._tale_of(found[0], BEGIN, found[1])
            if not tale.is_lost:
                async for messages in self._history.read(tale):
                    yield messages
            if tale.is_lost:
                yield await self._go_back(tale)
            elif not tale.is_over:
                return
            else:
                self._end(tale)

    async def _look_again(self) -> None:
        """Check whether history still has the last event that was sent, and find the next turn again.

        A turn of which nothing was sent may not be there any more.
        """
        if self._last is not None:
            await self._go_on_after(self._last)
            return
        self._tale = None
        if self._after is None:
            self._place = min(self._place, await self._history.present(self._session_id))

    def _end(self, tale: Tale) -> None:
        """Note that a turn was sent to its end, and go on behind its place."""
        self._last = EventId(tale.lineage, tale.seq, place=tale.place)
        self._place, self._tale = tale.place, None

    def _may_have_forked(self) -> bool:
        """Whether the database may have gone back since the last turn was sent.

        What was written under a lineage is undone only under a newer one. So an owner that claimed under the lineage of
        the last event that was sent, or under an older one, shows that this event was not undone: if it is not there
        any more, it was forgotten.
        """
        if self._last is None:
            return self._why == "subscribed"
        if self._heard is None:
            return self._why == "subscribed" and self._owner_lineage > self._last.lineage
        field = self._heard.WhichOneof("what")
        return field != "look" and bool(getattr(self._heard, field).lineage > self._last.lineage)

    async def _go_back(self, tale: Tale) -> list[Message]:
        """Return the messages for a client that has events of a turn which history does not have (any more)."""
        last = EventId(tale.lineage, tale.seq, place=tale.place)
        common = await self._history.common(self._session_id, last)
        if common is not None:
            self._tale = self._tale_of(common.turn_id, BEGIN, common.place)
            return [self._tale.resync(common.lineage, common.seq)]
        if tale.turn_id.int and not await self._is_at(tale.place):
            # The turn was forgotten after it was found and before its history was read: one transaction deletes both.
            tale.turn_id = uuid.UUID(int=0)
        is_forgotten = tale.turn_id.int == 0
        self._place, self._tale = (tale.place if is_forgotten else 0), None
        if is_forgotten:
            return []
        nowhere = message.told(WireEvent.RESYNC, "0:0-0", str(tale.turn_id), 0, 0, None, message.resync_data(0))
        return [nowhere]

    def _tale_of(self, turn_id: uuid.UUID, after: EventId, place: int) -> Tale:
        return Tale(turn_id, after, place, self._places.seal(place))

    async def _is_at(self, place: int) -> bool:
        """Whether a turn has this place."""
        found = await self._history.placed(self._session_id, place)
        return found is not None and found[1] == place

    async def _has_more(self) -> bool:
        return self._tale is None or await self._history.has_more(self._tale)

    def _hear(self, item: Any, *, has_read: bool) -> list[Message] | None:
        field = item.WhichOneof("what")
        if field == "look":
            return [] if has_read else None
        what = getattr(item, field)
        tale = self._tale
        if tale is None and not has_read and field == "event" and self._is_next(what):
            tale = self._tale = self._tale_of(uuid.UUID(bytes=what.turn_id), BEGIN, what.place)
        if tale is not None and what.turn_id == tale.turn_id.bytes:
            told = tale.heard(item, has_read=has_read)
            if tale.is_over:
                self._end(tale)
                self._why = "heard"  # the next turn may have ended already
            return told
        if not has_read and tale is None and self._last is not None and what.lineage > self._last.lineage:
            return None  # history may have forked before the client's last event
        if has_read or what.place <= (self._place if tale is None else tale.place):
            return []
        if tale is not None and field == "event" and what.type in ENDINGS and what.attempt == 0:
            return []  # this turn ended behind the one that is being sent, and comes after it
        return None

    def _is_next(self, event: Any) -> bool:
        """Whether nothing comes before this event, while no turn is being sent.

        A turn starts when those before it have ended, and what the owner sent of them has been sent on by now. Whatever
        else may come first is read from Postgres.
        """
        is_same_history = self._last is None or event.lineage <= self._last.lineage
        is_start = event.seq == 1 and event.type == Event.TURN_STARTED
        return bool(is_start and is_same_history and event.place > self._place)

    def _resume(self) -> tuple[int, int]:
        return (0, 0) if self._tale is None else self._tale.resume
