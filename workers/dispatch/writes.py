"""What a turn adds to its history and its inbox."""

import uuid
from typing import NamedTuple

from argosy.turn.events import Event
from argosy.turn.inbox import RowKind


class InboxWrite(NamedTuple):
    """A new inbox row of a turn. due_s: in how many seconds from its writing it is due."""

    inbox_id: uuid.UUID
    kind: RowKind
    name: str
    correlation: str
    payload: bytes | None
    due_s: float


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
