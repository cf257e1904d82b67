"""One turn as one client gets it: what the client has, and its messages for a row or for an item from an owner. Pure.

Promise: durable events 1..n once each and in order, frames only of the current attempt and of open channels, each with
an id from which any gateway goes on exactly there. A message that has no number of its own has the id of the message
before it: a client that comes back with that id gets it again, where it is still needed.
"""

import uuid
from datetime import datetime
from typing import Any, Final

from argosy.gateway.stream import continuity
from argosy.gateway.stream.channel_view import ChannelItem, ChannelMessage, ChannelView
from argosy.gateway.stream.continuity import Continuity, Judgement, LastEvent
from argosy.gateway.stream.event_id import ANY_LINEAGE, EventId
from argosy.gateway.stream.message import Message, Part, frame_data, make_message, moment, resync_data
from argosy.store.turn import EventRow
from argosy.turn.events import ENDINGS, WireEvent
from argosy.turn.projection import shown

# Fields of Item in proto/argosy/rpc/watch.proto that fill or empty a channel, or leave a gap in it.
_CHANNEL_ITEMS: Final = {
    "frame": WireEvent.FRAME,
    "channel_reset": WireEvent.CHANNEL_RESET,
    "gap": WireEvent.GAP,
}


class TurnCursor:
    """What one client has of one turn. after: the last that it has.

    place, sealed_place: the turn's place in a session's stream, and as clients see it; 0 and empty in the turn's own.
    is_over: the ending was sent. is_lost: history has no event of the turn that the client has. n: number of the last
    frame that the client has of this attempt.
    """

    __slots__ = (
        "_channels",
        "_has_attempt",
        "_last_id",
        "_sealed_place",
        "_turn_id_text",
        "attempt",
        "checked",
        "is_lost",
        "is_over",
        "lineage",
        "n",
        "place",
        "seq",
        "turn_id",
    )

    def __init__(self, turn_id: uuid.UUID, after: EventId, place: int = 0, sealed_place: str = "") -> None:
        self.turn_id = turn_id
        self.place = place
        self._sealed_place = sealed_place
        self.lineage, self.seq = after.lineage, after.seq
        self.checked = 0 if after.lineage == ANY_LINEAGE else after.lineage
        self.attempt, self.n = after.attempt, after.n
        self.is_over = False
        self.is_lost = False
        self._has_attempt = not after.seq
        self._turn_id_text = str(turn_id)
        self._last_id = self._id(self.n) if after.seq and after.lineage != ANY_LINEAGE else ""
        self._channels = ChannelView(after.attempt if after.n else 0, is_back=after.seq > 0)

    @property
    def resume(self) -> tuple[int, int]:
        """(attempt, n) of the last frame that the client has, for the next subscription; n = 0: none."""
        return (self.attempt, self.n) if self.n else (0, 0)

    @property
    def last(self) -> LastEvent:
        return LastEvent(self.lineage, self.seq, self.attempt, self.checked)

    def check(self, first: EventRow | None) -> Continuity:
        """Return whether history is the one that the client knows.

        first: the first event in history, from the client's last one on.
        """
        at = None if first is None else (first.lineage, first.seq)
        found = continuity.compare(self.last, at, ANY_LINEAGE)
        if found is Continuity.UNBROKEN and first is not None and self.seq:
            self.lineage = first.lineage
            self.checked = max(self.checked, first.lineage)
            self._last_id = self._last_id or self._id()
            if not self._has_attempt:
                self._has_attempt = True
                self._set_attempt(first.attempt)
            self.is_over = first.type in ENDINGS
        return found

    def advance(self, row: EventRow) -> list[Message]:
        """Return the messages of the next event of history."""
        return self._durable(row.lineage, row.seq, row.attempt, row.type, row.key, row.data, row.at)

    def receive(self, item: Any, *, has_read: bool) -> list[Message] | None:
        """Return the messages of an Item of a Watch stream; None: history must be read first. has_read: it was."""
        field = item.WhichOneof("what")
        if field == "look":
            return [] if has_read else None
        what = getattr(item, field)
        if has_read:
            self.checked = max(self.checked, what.lineage)
        if field == "event":
            verdict = continuity.judge_event(self.last, what.lineage, what.seq)
        else:
            verdict = continuity.judge_frame(self.last, what.lineage, what.seq, what.attempt)
        if verdict is Judgement.READ and not has_read:
            return None
        if verdict is not Judgement.SEND:
            return []
        if field == "event":
            at = moment(what.at_us)
            return self._durable(what.lineage, what.seq, what.attempt, what.type, what.key, what.data, at)
        part, checksum = _part_of(field, what), what.checksum if field == "frame" else 0
        channel_item = ChannelItem(_CHANNEL_ITEMS[field], what.step, what.tries, what.channel, part, what.seq, checksum)
        messages = self._channels.receive(channel_item)
        if messages:
            self.n = what.n
        # Only the last of several messages has a new id: a client that comes back after the first must get the rest.
        return [
            self._frame_message(message, what.n if number == len(messages) else 0, moment(what.at_us))
            for number, message in enumerate(messages, 1)
        ]

    def resync(self, lineage: int, seq: int) -> Message:
        """Go back to this event; return the message that tells the client to forget all events after it."""
        self.lineage, self.seq = lineage, seq
        self.checked = max(self.checked, lineage)
        self.is_lost = False
        self._has_attempt, self.attempt, self.n = not seq, 0, 0
        self._channels.forget()
        return make_message(WireEvent.RESYNC, self._next_id(), self._turn_id_text, seq, 0, None, resync_data(seq))

    def skip_to(self, first: EventRow, turn: bytes) -> Message:
        """Go on at this event, with which history begins now; return the snapshot. turn: as GET shows it, JSON."""
        self.lineage, self.seq = first.lineage, first.seq - 1
        self.checked = max(self.checked, first.lineage)
        self._has_attempt, self.attempt, self.n = True, first.attempt, 0
        self._channels.forget()
        data = b'{"turn":%b}' % turn
        return make_message(WireEvent.SNAPSHOT, self._next_id(), self._turn_id_text, self.seq, self.attempt, None, data)

    def _durable(
        self, lineage: int, seq: int, attempt: int, event_type: str, key: str, data: bytes, at: datetime
    ) -> list[Message]:
        event = shown(event_type, key, data)
        before = self._channels.before(event.type, event.key, event.data, attempt, seq)
        messages = [self._frame_message(each, 0, at) for each in before]
        self.lineage, self.seq = lineage, seq
        self.checked = max(self.checked, lineage)
        self._has_attempt = True
        self._set_attempt(attempt)
        messages.append(
            make_message(event.type, self._next_id(), self._turn_id_text, seq, attempt, at, event.data, event.key)
        )
        messages += [self._frame_message(each, 0, at) for each in self._channels.after(event.type, event.key)]
        self.is_over = event_type in ENDINGS
        return messages

    def _set_attempt(self, attempt: int) -> None:
        if attempt != self.attempt:
            self.attempt, self.n = attempt, 0

    def _frame_message(self, message: ChannelMessage, n: int, at: datetime) -> Message:
        data = frame_data(self.attempt, n, message.step, message.channel, message.part)
        return make_message(
            message.type, self._next_id(n) if n else self._last_id, self._turn_id_text, self.seq, self.attempt, at, data
        )

    def _next_id(self, n: int = 0) -> str:
        self._last_id = self._id(n)
        return self._last_id

    def _id(self, n: int = 0) -> str:
        return EventId(self.lineage, self.seq, self.attempt if n else 0, n).text(self._sealed_place)


def _part_of(field: str, what: Any) -> Part:
    if field != "frame":
        return Part()
    kind = what.WhichOneof("value")
    if kind == "text":
        return Part(what.offset, text=what.text.decode())
    if kind == "json":
        return Part(what.offset, json=what.json)
    return Part(what.offset, patch=what.patch or b"[]")
