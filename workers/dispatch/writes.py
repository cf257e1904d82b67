"""What a turn adds to its history and its inbox."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from argosy.turn.events import Event
from argosy.turn.inbox import RowKind


class Address(NamedTuple):
    """Whose a row is that a turn writes to another one. lane: None for the writer's own."""

    lane: str | None
    bucket: int
    session_id: uuid.UUID
    turn_id: uuid.UUID


class InboxWrite(NamedTuple):
    """A new inbox row of a turn. due_s: in how many seconds from its writing it is due.

    to: None for a row of the turn itself. request_id: one row per turn, kind, name and request. seq: of the event that
    names the row, and before which it may not be written; 0: none, it is written with the first event of its flush.
    """

    inbox_id: uuid.UUID
    kind: RowKind | Literal["start"]
    name: str
    correlation: str
    payload: bytes | None
    due_s: float
    to: Address | None = None
    request_id: str | None = None
    seq: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.payload or b"")


class EventWrite(NamedTuple):
    seq: int
    attempt: int
    type: Event
    key: str
    data: bytes


class Result(NamedTuple):
    """The outcome of a step that a former owner of the turn delivered. type: of the event that records it."""

    inbox_id: uuid.UUID
    type: str
    key: str
    data: bytes


def size_bytes_of(events: Iterable[EventWrite], inbox: Mapping[uuid.UUID, InboxWrite]) -> int:
    """Return the bytes of data that these events and new inbox rows have."""
    return sum(len(event.data) for event in events) + sum(row.size_bytes for row in inbox.values())
