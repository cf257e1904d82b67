"""Waits that a turn is in: as memory has them, and as turns.waits has them."""

import uuid
from typing import NamedTuple

import msgspec

from argosy.workflow.journal import WaitKind


class Wait(NamedTuple):
    """A wait that the code is in. due_at_s: database time, None without a timeout."""

    key: str
    kind: WaitKind
    name: str
    timer_id: uuid.UUID | None
    due_at_s: float | None


class WrittenWait(msgspec.Struct, omit_defaults=True):
    """A wait as turns.waits has it (a JSON array of these). private: its key is not shown to clients."""

    key: str
    kind: str
    name: str = ""
    timer_id: str = ""
    due_at_s: float = 0.0
    private: bool = False


decode_waits = msgspec.json.Decoder(list[WrittenWait]).decode
