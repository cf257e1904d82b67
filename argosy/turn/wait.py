"""What a suspended turn waits for: the content of turns.waits, a JSON array.

The worker that runs the turn writes it. Owners ask it whether what came ends a wait; gateways show it.
"""

from collections.abc import Container
from enum import StrEnum

import msgspec


class WaitKind(StrEnum):
    """What a wait is for. The timer of a wait has the name of its kind."""

    SIGNAL = "signal"
    SLEEP = "sleep"
    RETRY = "retry"  # the time until a step is tried again


class WrittenWait(msgspec.Struct, omit_defaults=True):
    """A wait in turns.waits. kind: a WaitKind, or one of a later version. name: of the signal; of a retry the id of the
    shard that did not answer, or empty. timer_id: empty when the wait has no timeout; due_at_s: when that timer is due,
    database time. private: clients are not shown the key.
    """

    key: str = ""
    kind: str = ""
    name: str = ""
    timer_id: str = ""
    due_at_s: float = 0.0
    private: bool = False


_decode = msgspec.json.Decoder(list[WrittenWait]).decode
encode = msgspec.json.Encoder().encode


def decode(written: bytes | None) -> list[WrittenWait]:
    """Return the waits that Postgres has of a turn."""
    return _decode(written) if written else []


def is_one_over(written: bytes | None, *, signals: Container[str] = (), timers: Container[str] = ()) -> bool:
    """Whether one of these waits is over: a signal of its name is here, or the timer of its key fell due."""
    return any(
        wait.key in timers or (wait.kind == WaitKind.SIGNAL and wait.name in signals) for wait in decode(written)
    )
