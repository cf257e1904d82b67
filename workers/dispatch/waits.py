"""The waits that a turn is in, as memory holds them."""

import uuid
from typing import NamedTuple

from argosy.turn.wait import WaitKind


class Wait(NamedTuple):
    """A wait in memory. due_at_s: when its timer is due, database time; None: it has no timeout."""

    key: str
    kind: WaitKind
    name: str
    timer_id: uuid.UUID | None
    due_at_s: float | None
