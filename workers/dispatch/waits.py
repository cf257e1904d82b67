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
    """A wait as turns.waits has it (a JSON array of these). private: its key is not shown to clients."""

    key: str
    kind: str
    name: str = ""
    timer_id: str = ""
    due_at_s: float = 0.0
    private: bool = False


decode_waits = msgspec.json.Decoder(list[WrittenWait]).decode


def mismatch(recorded: str, wanted: list[str]) -> Park:
    """History and code have parted: recorded names what nobody asks for any more, wanted what is, if anything."""
    instead = f"asks for {', '.join(wanted)} instead" if wanted else "returned"
    return Park(
        "history_mismatch",
        f"history has the outcome of {recorded}, which the code no longer asks for; it {instead}. "
        "Deploy the code that the turn began with (or cancel the turn), then resume it",
    )
