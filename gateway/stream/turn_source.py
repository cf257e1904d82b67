"""The source of one turn's messages, from after an event to the turn's end."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from argosy.gateway.stream import sync_points
from argosy.gateway.stream.event_id import EventId
from argosy.gateway.stream.history import History, Turns
from argosy.gateway.stream.message import Message
from argosy.gateway.stream.source import READ_FIRST, Reading, Received, Then
from argosy.gateway.stream.subscription import Target
from argosy.gateway.stream.turn_cursor import TurnCursor
from argosy.store.turn import TurnHead
from argosy.turn.status import ENDED


class TurnSource:
    """The source of one turn; see Source. turn_id: as the client says it. after: the last that the client has."""

    def __init__(
        self,
        history: History,
        tenant: str,
        turn_id: uuid.UUID,
        after: EventId,
        *,
        partition: int,
        turns: Turns,
    ) -> None:
        self.target = Target(tenant, partition, turn_id=turn_id)
        self._history = history
        self._turns = turns
        self._turn_id = turn_id
        self._cursor = TurnCursor(turn_id, after)
        # What `begin` has begun to read, and its first messages.
        self._begun: AsyncIterator[list[Message]] | None = None
        self._first: list[Message] = []

    @property
    def is_over(self) -> bool:
        return self._cursor.is_over

    def resume(self) -> tuple[int, int]:
        return self._cursor.resume

    async def find(self) -> bool:
        head = await self._identify()
        return head is None or head.status not in ENDED

    async def begin(self) -> bool:
        await sync_points.reach("found")
        self._begun = self._history.read(self._cursor)
        self._first = await anext(self._begun, [])
        return bool(self._first) or not self._cursor.is_over

    async def read(self, _: Reading) -> AsyncIterator[list[Message]]:
        first, self._first = self._first, []
        if first:
            yield first
        reading, self._begun = self._begun, None
        if reading is None:
            if not self._cursor.seq:
                await self._identify()
            reading = self._history.read(self._cursor)
        while True:
            async for messages in reading:
                yield messages
            if not self._cursor.is_lost:
                return
            # History has no event that the client has. Either the database went back, and the turn may come out of the
            # log again; or the turn was forgotten since it was found: then _identify raises Problem, and the client
            # keeps what it has.
            await self._identify()
            yield [self._cursor.resync(0, 0)]
            reading = self._history.read(self._cursor)

    async def has_more(self) -> bool:
        return await self._history.has_more(self._cursor)

    def receive(self, item: Any, *, has_read: bool) -> Received:
        messages = self._cursor.receive(item, has_read=has_read)
        return READ_FIRST if messages is None else (messages, Then.GO_ON)

    async def _identify(self) -> TurnHead | None:
        """Find the turn. One that was only in the log may turn out to be a duplicate: then follow the first turn."""
        head = await self._turns.find(self._turn_id)
        if head is not None and head.turn_id != self._cursor.turn_id:
            cursor = self._cursor
            self._cursor = TurnCursor(head.turn_id, EventId(cursor.lineage, cursor.seq, cursor.attempt, cursor.n))
            self.target = self.target._replace(turn_id=head.turn_id)
        return head
