"""The waits that a turn is in: as memory holds them, and as the column turns.waits does."""

import uuid
from typing import NamedTuple

import msgspec

from argosy.workflow.journal import WaitKind


class Wait(NamedTuple):
    """A wait in memory. due_at_s: when its timer is due, database time; None: it has no timeout."""

    key: str
    kind: WaitKind
    name: str
    timer_id: uuid.UUID | None
    due_at_s: float | None


class WrittenWait(msgspec.Struct, omit_defaults=True):
    """A wait in turns.waits, which is a JSON array of these. private: clients are not shown its key."""

    key: str
    kind: str
    name: str = ""
    timer_id: str = ""
    due_at_s: float = 0.0
    private: bool = False


decode_waits = msgspec.json.Decoder(list[WrittenWait]).decode
