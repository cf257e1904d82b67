"""Rows that are addressed to turns: their kinds, states and queues. Pure.

docs/architecture.md, "The inbox", says who writes each kind and what it does.
"""

from enum import IntEnum, StrEnum
from typing import Final


class RowKind(StrEnum):
    """What a row says to its turn (inbox.kind, early.kind). A row of a later version may have another one."""

    SIGNAL = "signal"
    CANCEL = "cancel"
    RESUME = "resume"
    TIMER = "timer"
    STEP_RESULT = "step_result"
    HANDOVER = "handover"


START: Final = "start"  # the kind of what a flush writes into `starts`: there is no turn yet whose inbox could have it


class TimerName(StrEnum):
    """The names of timers of whole turns. A timer of a wait is named after the kind of that wait."""

    DEADLINE = "deadline"
    NOT_BEFORE = "not_before"


TIMERS_OF_TURNS: Final = frozenset(TimerName)


class RowState(StrEnum):
    """How far a row has come (inbox.state)."""

    DUE = "due"  # it is looked at from due_at on
    BUFFERED = "buffered"  # its turn has it, and no wait was in for it yet
    CONSUMED = "consumed"  # it took effect
    LATE = "late"  # its turn had ended


class Fate(StrEnum):
    """What a flush makes of a row that was due or buffered."""

    BUFFERED = "buffered"
    CONSUMED = "consumed"
    LATE = "late"
    DELETED = "deleted"  # a timer that is over, or of which there is no need


OPEN: Final = frozenset({RowState.DUE, RowState.BUFFERED})  # its turn may still take it
KEPT_FOR_TURN: Final = frozenset({RowKind.SIGNAL, RowKind.STEP_RESULT})  # read together with the turn's history
EARLY: Final = frozenset({RowKind.SIGNAL, RowKind.CANCEL})  # may be sent before the turn is accepted


class Queue(IntEnum):
    """The queues of due rows, numbered as in due_inbox. Each is read by itself, so that none hides another's rows."""

    CANCEL = 1
    DEADLINE = 2
    SAID = 3  # signals, resumes, step results and hand-overs of former owners
    TIMER = 4


def queue_of(kind: str, name: str) -> Queue:
    """Return the queue of a row, as due_inbox and the index inbox_queues have it."""
    if kind == RowKind.CANCEL:
        return Queue.CANCEL
    if kind == RowKind.TIMER:
        return Queue.DEADLINE if name == TimerName.DEADLINE else Queue.TIMER
    return Queue.SAID
