"""Decides what becomes of an inbox row, by the state of the turn that it is addressed to. Pure.

A row of a kind that this version does not know stays due, whatever its name: a worker of the version that wrote it may
have its turn next. It goes with its turn's end at the latest.
"""

from enum import Enum
from typing import Final

from argosy.store.head import DueRow
from argosy.turn.inbox import TIMERS_OF_TURNS, RowKind, TimerName
from argosy.turn.status import ENDED, Status
from argosy.turn.wait import is_one_over

_KNOWN: Final = frozenset(RowKind)


class Action(Enum):
    """What a row does to a turn in a given state."""

    STAY = "stay"  # the row stays due: it is too early for it, or a later version's
    BUFFER = "buffer"  # the row is kept: no wait is in for it yet
    WAKE = "wake"  # the suspended turn goes on
    DELIVER = "deliver"  # the running turn gets the row
    PLACE = "place"  # the delayed turn falls due
    CANCEL = "cancel"  # the turn's code is told of its cancel, and may clean up
    END = "end"  # the turn is cancelled, and ends without its code
    EXPIRE = "expire"  # the turn's deadline has passed
    RESUME = "resume"  # the parked turn runs again
    LATE = "late"  # the turn has ended, or the row has no use any more
    DELETE = "delete"  # the timer has no use any more
    SAID = "said"  # a former owner is done with the turn


def decide(kind: str, name: str, status: Status | None, waits_for: bool) -> Action:
    """Return what a due row does. status: None when the turn is not accepted yet; waits_for: whether the turn waits for
    this row (for a signal of its name, or for its timer).
    """
    if status is None:
        return Action.STAY
    if kind == RowKind.TIMER:
        if status in ENDED:
            return Action.DELETE
        if name == TimerName.NOT_BEFORE:
            return Action.PLACE if status is Status.QUEUED else Action.DELETE
        if name == TimerName.DEADLINE:
            # A parked turn waits for its operator, however long that takes.
            return Action.DELETE if status is Status.PARKED else Action.EXPIRE
        if status is Status.RUNNING:
            return Action.DELIVER
        if status is Status.SUSPENDED:
            return Action.WAKE if waits_for else Action.DELETE
        return Action.BUFFER if status is Status.PARKED else Action.DELETE
    if status in ENDED:
        return Action.LATE
    if kind not in _KNOWN:
        return Action.STAY
    if kind == RowKind.STEP_RESULT:
        return Action.LATE if status is Status.RUNNING else Action.BUFFER
    if kind == RowKind.HANDOVER:
        return Action.LATE
    if kind == RowKind.CANCEL:
        return Action.CANCEL if status in (Status.RUNNING, Status.SUSPENDED) else Action.END
    if kind == RowKind.RESUME:
        return Action.RESUME if status is Status.PARKED else Action.LATE
    if status is Status.RUNNING:
        return Action.DELIVER
    if status is Status.SUSPENDED and waits_for:
        return Action.WAKE
    return Action.BUFFER


def decide_held(kind: str, name: str, status: Status, waits_for: bool) -> Action:
    """Return what a due row does while a step of its turn still runs at a former owner.

    A deadline does not wait for that step, and a cancel not for long. What would wake the turn stays due: if it were
    buffered, only a running turn would look at it again.
    """
    if kind == RowKind.CANCEL:
        return decide(kind, name, status, waits_for)
    if kind == RowKind.TIMER and name in TIMERS_OF_TURNS:
        return Action.EXPIRE if name == TimerName.DEADLINE else Action.DELETE
    if kind not in _KNOWN or kind in (RowKind.TIMER, RowKind.RESUME) or (status is Status.SUSPENDED and waits_for):
        return Action.STAY
    return Action.SAID if kind == RowKind.HANDOVER else Action.BUFFER


def decide_unread(kind: str, name: str) -> Action:
    """Return what a due row does to a turn that was running before a claim and is not in memory yet.

    A deadline waits neither for the head to be read nor for a slot. What the turn's code is to hear, a cancel too,
    waits until the turn is in memory.
    """
    if kind == RowKind.TIMER and name == TimerName.DEADLINE:
        return Action.EXPIRE
    if kind == RowKind.STEP_RESULT:
        return Action.BUFFER
    return Action.LATE if kind == RowKind.HANDOVER else Action.STAY


def waits_for(waits: bytes | None, row: DueRow) -> bool:
    """Whether a turn with these waits (turns.waits) waits for this row."""
    if row.kind == RowKind.TIMER:
        return is_one_over(waits, timers=(row.correlation,))
    return is_one_over(waits, signals=(row.name,))
