"""The story of one turn, from after an event to the turn's end."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from argosy.gateway.stream import points
from argosy.gateway.stream.event_id import EventId
from argosy.gateway.stream.history import History
from argosy.gateway.stream.lines import Lines
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.story import Story
from argosy.gateway.stream.subscription import Wanted
from argosy.gateway.stream.tale import Tale
from argosy.store.turn import TurnHead
from argosy.turn.status import ENDED


class TurnStory(Story):
    """The story of one turn. after: the last that the client has.

    find(): the turn that the id means (a duplicate's id means the first turn), or None while it may still come out of
    the log; raises Problem when there is no such turn.
    """

    def __init__(
        self,
        lines: Lines,
        history: History,
        tenant: str,
        turn_id: uuid.UUID,
        after: EventId,
        *,
        partition: int,
        find: Callable[[], Awaitable[TurnHead | None]],
        heartbeat_s: float,
    ) -> None:
        super().__init__(lines, Wanted(tenant, partition, turn_id=turn_id), heartbeat_s)
        self._history = history
        self._find = find
        self._tale = Tale(turn_id, after)
        self._reading: AsyncIterator[list[Message]] | None = None
        self._first: list[Message] = []

    async def begin(self) -> bool:
        """See Story.begin."""
        head = await self._identify()
        if head is None or head.status not in ENDED:
            self._watching()  # subscribe now: the owner answers while history is read
        await points.reach("found")
        self._reading = self._history.read(self._tale)
        self._first = await anext(self._reading, [])
        return bool(self._first) or not self._tale.is_over

    @property
    def is_over(self) -> bool:
        """See Story.is_over."""
        return self._tale.is_over

    async def _read(self) -> AsyncIterator[list[Message]]:
        first, self._first = self._first, []
        if first:
            yield first
        reading, self._reading = self._reading, None
        if reading is None:
            if not self._tale.seq:
                await self._identify()
            reading = self._history.read(self._tale)
        while True:
            async for messages in reading:
                yield messages
            if not self._tale.is_lost:
                return
            # History has no event that the client has. Either the database went back, and the turn may come out of the
            # log again; or the turn was forgotten since it was found: then _identify raises Problem, and the client
            # keeps what it has.
            await self._identify()
            yield [self._tale.resync(0, 0)]
            reading = self._history.read(self._tale)

    async def _has_more(self) -> bool:
        return await self._history.has_more(self._tale)

    def _hear(self, item: Any, *, has_read: bool) -> list[Message] | None:
        return self._tale.heard(item, has_read=has_read)

    def _resume(self) -> tuple[int, int]:
        return self._tale.resume

    async def _identify(self) -> TurnHead | None:
        """Find the turn. One that was only in the log may turn out to be a duplicate: then follow the first turn."""
        head = await self._find()
        if head is not None and head.turn_id != self._tale.turn_id:
            tale = self._tale
            self._tale = Tale(head.turn_id, EventId(tale.lineage, tale.seq, tale.attempt, tale.n))
            self._watch_other(self._wanted._replace(turn_id=head.turn_id))
        return head
