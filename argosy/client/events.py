"""What a stream tells: durable events of turns, and the frames between them.

| type            | becomes      | what it means                                                                     |
|-----------------|--------------|-----------------------------------------------------------------------------------|
| turn.*, step.*, wait.*, … | Event | a durable event: number seq of its turn (argosy/turn/events.py has the list)    |
| frame           | Frame        | more of a channel                                                                 |
| channel.reset   | ChannelReset | the channel is empty again: what it held belongs to a try that failed              |
| gap             | Gap          | frames were left out; the channel's whole value comes next                         |
| resync          | Resync       | events after from_seq were lost with the database's tail: forget them              |
| snapshot        | Snapshot     | older events are kept no longer: the state so far, then the events after it        |

A type that this version does not know comes as an Event, too.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from argosy.client.turn import Turn


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """id: what to give as Last-Event-ID to go on after it; empty: it has none of its own."""

    id: str = ""
    turn_id: str
    seq: int = 0
    attempt: int = 0
    type: str
    at: datetime | None = None


class Event(_Told, frozen=True, kw_only=True):
    """A durable event. key: of the step, wait or value that it is about; empty: the turn itself."""

    key: str = ""
    data: dict[str, Any] = {}

    @property
    def is_ending(self) -> bool:
        """Nothing comes after it."""
        return self.type in ENDING


class _Channel(_Told, frozen=True, kw_only=True):
    """step: the key of the step that fills the channel; empty: the workflow itself. n: number of the frame."""

    n: int = 0
    step: str = ""
    channel: str


class Frame(_Channel, frozen=True, kw_only=True):
    """Exactly one of text, json and patch is given. offset: where text begins in the channel's text, in characters."""

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

ENDING: Final = frozenset({"turn.completed", "turn.failed", "turn.cancelled", "turn.expired", "turn.rejected"})

_LIVE: Final[dict[str, type[StreamEvent]]] = {
    "frame": Frame,
    "channel.reset": ChannelReset,
    "gap": Gap,
    "resync": Resync,
    "snapshot": Snapshot,
}


def decode_event(kind: str, event_id: str, data: str) -> StreamEvent:
    """One message of a stream. kind: its `event:`; data: its `data:`. Raises ValueError: it is none of a gateway's."""
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
    """The turn, as far as its result needs it, when the event tells that; else None."""
    if isinstance(event, Event) and event.type == "turn.completed" and "result" in event.data:
        return Turn(turn_id=event.turn_id, status="completed", result=event.data["result"])
    return None
