"""What becomes of a row that is addressed to a turn, by the state of the turn. Pure."""

from enum import Enum

from argosy.store.head import DueRow
from argosy.turn.status import ENDED, Status
from argosy.workers.dispatch.waits import decode_waits


class Action(Enum):
    """What a row does to a turn in a given state."""

    STAY = "stay"  # not its time yet
    BUFFER = "buffer"  # nobody waits for it yet
    WAKE = "wake"  # the suspended turn goes on
    DELIVER = "deliver"  # the running turn gets it
    PLACE = "place"  # the delayed turn falls due
    CANCEL = "cancel"  # its code is told, and may clean up
    END = "end"  # it is cancelled, and ends without its code
    EXPIRE = "expire"
    RESUME = "resume"  # the parked turn runs again
    LATE = "late"  # the turn has ended, or the row has no use any more
    DELETE = "delete"  # a timer without use
    SAID = "said"  # a former owner is done with the turn


def decide(kind: str, name: str, status: Status | None, waits_for: bool) -> Action:
    """What becomes of a due row. status None: the turn is not accepted yet; waits_for: it waits for this
    row (its signal's name, or its timer's key).
    """
    if status is None:
        return Action.STAY
    if kind == "timer":
        if status in ENDED:
            return Action.DELETE
        if name == "not_before":
            return Action.PLACE if status is Status.QUEUED else Action.DELETE
        if name == "deadline":
            # An operator decides about a parked turn, with all the time that takes.
            return Action.DELETE if status is Status.PARKED else Action.EXPIRE
        if status is Status.RUNNING:
            return Action.DELIVER
        if status is Status.SUSPENDED:
            return Action.WAKE if waits_for else Action.DELETE
        return Action.BUFFER if status is Status.PARKED else Action.DELETE
    if status in ENDED:
        return Action.LATE
    if kind == "step_result":
        return Action.LATE if status is Status.RUNNING else Action.BUFFER
    if kind == "handover":
        return Action.LATE
    if kind == "cancel":
        return Action.CANCEL if status in (Status.RUNNING, Status.SUSPENDED) else Action.END
    if kind == "resume":
        return Action.RESUME if status is Status.PARKED else Action.LATE
    if status is Status.RUNNING:
        return Action.DELIVER
    if status is Status.SUSPENDED and waits_for:
        return Action.WAKE
    return Action.BUFFER


def decide_held(kind: str, name: str, status: Status, waits_for: bool) -> Action:
    """What becomes of a due row while a step of its turn still runs at a former owner. A deadline need not wait for
    that, and a cancel does not wait for long. What would wake the turn stays due: once buffered, nothing looks at it
    again but a turn that runs.
    """
    if kind == "cancel":
        return decide(kind, name, status, waits_for)
    if kind == "timer" and name in ("deadline", "not_before"):
        return Action.EXPIRE if name == "deadline" else Action.DELETE
    if kind in ("timer", "resume") or (status is Status.SUSPENDED and waits_for):
        return Action.STAY
    return Action.SAID if kind == "handover" else Action.BUFFER


def decide_unread(kind: str, name: str) -> Action:
    """What becomes of a due row of a turn that was running before a claim, and that memory does not hold yet. A
    deadline waits neither for its head to be read nor for a slot; what its code is to hear, a cancel too, waits for it.
    """
    if kind == "timer" and name == "deadline":
        return Action.EXPIRE
    return {"step_result": Action.BUFFER, "handover": Action.LATE}.get(kind, Action.STAY)


def waits_for(waits: bytes | None, row: DueRow) -> bool:
    """Whether a suspended turn waits for what this row brings."""
    return any(
        wait.key == row.correlation if row.kind == "timer" else wait.kind == "signal" and wait.name == row.name
        for wait in (decode_waits(waits) if waits else ())
    )
