"""Waits that a turn is in: as memory has them, and as turns.waits has them; and when history and code have parted."""

import asyncio
import uuid
from typing import NamedTuple

import msgspec

from argosy.workflow.journal import Park, WaitKind


class Wait(NamedTuple):
    """A wait that the code is in. due_at_s: database time, None without a timeout."""

    key: str
    kind: WaitKind
    name: str
    future: "asyncio.Future[bytes | None]"
    timer_id: uuid.UUID | None
    due_at_s: float | None


class WrittenWait(msgspec.Struct, omit_defaults=True):
    """A wait as turns.waits has it (a JSON array of these)."""

    key: str
    kind: str
    name: str = ""
    timer_id: str = ""
    due_at_s: float = 0.0


decode_waits = msgspec.json.Decoder(list[WrittenWait]).decode


def mismatch(recorded: str, asked: str) -> Park:
    """History and code have parted: recorded is a key nobody asks for any more, asked what is wanted instead."""
    return Park(
        "history_mismatch",
        f"history has a recorded {recorded!r}, which the code no longer asks for; it asks for {asked} instead. "
        "Deploy the code that the turn began with (or cancel the turn), then resume it",
    )
