"""The messages of a stream: durable events of turns, and what comes between them.

| type            | becomes      | what it means                                                                     |
|-----------------|--------------|-----------------------------------------------------------------------------------|
| turn.*, step.*, wait.*, … | Event | a durable event: number seq of its turn (argosy/turn/events.py has the list)    |
| frame           | Frame        | part of a channel                                                                 |
| channel.reset   | ChannelReset | the channel is empty again: what it held belongs to a try that failed              |
| gap             | Gap          | frames were left out; the channel's whole value comes next                         |
| resync          | Resync       | the database lost the events after from_seq: forget them                           |
| snapshot        | Snapshot     | older events are kept no longer: the state so far, then the events after it        |

A message whose type this version does not know becomes an Event, too.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from argosy.client.turn import Turn
from argosy.turn.events import ENDINGS, WireEvent
from argosy.turn.events import Event as Type
from argosy.turn.status import Status


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a stream. id: send it as Last-Event-ID to go on after this message; empty when it has no id of its
    own.
    """

    id: str = ""
    turn_id: str
    seq: int = 0
    attempt: int = 0
    type: str
    at: datetime | None = None

    @property
    def is_ending(self) -> bool:
        """Whether the turn ends with this message, so that none of it follows."""
        return False


class Event(_Told, frozen=True, kw_only=True):
    """A durable event. key: the key of the operation that it is about; empty when it is about the turn itself."""

    key: str = ""
    data: dict[str, Any] = {}

    @property
    def is_ending(self) -> bool:
        """Whether the turn ends with this event, so that no event of it follows."""
        return self.type in ENDINGS


class _Channel(_Told, frozen=True, kw_only=True):
    """A message about a channel. step: the key of the step that fills it; empty when the workflow fills it. n: the
    number of the frame.
    """

    n: int = 0
    step: str = ""
    channel: str


class Frame(_Channel, frozen=True, kw_only=True):
    """Part of a channel; exactly one of text, json and patch is set. offset: where text begins in the channel's text,
    in characters.
    """

    offset: int = 0
    text: str | msgspec.UnsetType = msgspec.UNSET
    json: Any = msgspec.UNSET
    patch: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


class ChannelReset(_Channel, frozen=True, kw_only=True):
    pass


class Gap(_Channel, frozen=True, kw_only=True):
    pass


class Resync(_Told, frozen=True, kw_only=True):
    from_seq: int


class Snapshot(_Told, frozen=True, kw_only=True):
    turn: Turn


StreamEvent = Event | Frame | ChannelReset | Gap | Resync | Snapshot

_LIVE: Final[dict[str, type[StreamEvent]]] = {
    WireEvent.FRAME: Frame,
    WireEvent.CHANNEL_RESET: ChannelReset,
    WireEvent.GAP: Gap,
    WireEvent.RESYNC: Resync,
    WireEvent.SNAPSHOT: Snapshot,
}


def decode_event(kind: str, event_id: str, data: str) -> StreamEvent:
    """Decode a message of a stream. kind: its `event:`; event_id: its `id:`; data: its `data:`. Raises ValueError when
    it is not a gateway's message.
    """
    try:
        members = msgspec.json.decode(data, type=dict[str, Any])
        members |= {"type": kind or members.get("type", ""), "id": event_id or members.get("id", "")}
        shape = _LIVE.get(members["type"])
        if shape is None:
            return msgspec.convert(members, Event)
        inner = members.pop("data", None)
        return msgspec.convert((inner if isinstance(inner, dict) else {}) | members, shape)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a message of a stream cannot be read: {error}") from error


def ended_of(event: StreamEvent) -> Turn | None:
    """Return the completed turn, with only its id, status and result, when the event has the result; else None."""
    if isinstance(event, Event) and event.type == Type.TURN_COMPLETED and "result" in event.data:
        return Turn(turn_id=event.turn_id, status=Status.COMPLETED.value, result=event.data["result"])
    return None
