"""Whether history, and what owners send live, continue what a client has: what is new to it, and may be sent now. Pure.

Promise: a client gets the events of a turn 1..n once each, in order. What an owner sends twice, late, or from a history
that was given up does not reach the client.
"""

from enum import Enum
from typing import NamedTuple


class Judgement(Enum):
    """What to do with an item from an owner."""

    SEND = "send"
    DROP = "drop"
    READ = "read"  # read Postgres first: it has something that comes before the item, or has gone back


class LastEvent(NamedTuple):
    """The last durable event that a client has of a turn; seq 0: none.

    checked: the newest lineage under which that event was found in history.
    """

    lineage: int
    seq: int
    attempt: int
    checked: int


def judge_event(last: LastEvent, lineage: int, seq: int) -> Judgement:
    """Return what to do with a durable event from an owner."""
    if not last.seq:
        return Judgement.SEND if seq == 1 else Judgement.READ
    if lineage > last.checked:
        return Judgement.READ  # history may have forked before the client's last event
    if seq <= last.seq or lineage < last.lineage:
        return Judgement.DROP
    return Judgement.SEND if seq == last.seq + 1 else Judgement.READ


def judge_frame(last: LastEvent, lineage: int, seq: int, attempt: int) -> Judgement:
    """Return what to do with a frame from an owner. lineage, seq: of the durable event that the frame follows."""
    if seq > last.seq or lineage > last.checked:
        return Judgement.READ
    return Judgement.SEND if attempt == last.attempt else Judgement.DROP


class Continuity(Enum):
    """Whether history has the last event that a client has."""

    UNBROKEN = "unbroken"
    FORKED = "forked"  # it is not in history: go back to the last event that is in both
    FORGOTTEN = "forgotten"  # history begins later


def compare(last: LastEvent, first: tuple[int, int] | None, any_lineage: int) -> Continuity:
    """Return whether history has the client's last event.

    first: lineage and seq of the first event in history, from the client's last one on; None: there is none.
    last.lineage: any_lineage when the client does not know it.
    """
    if not last.seq:
        return Continuity.UNBROKEN if first is None or first[1] == 1 else Continuity.FORGOTTEN
    if first is None:
        return Continuity.FORKED
    lineage, seq = first
    if seq > last.seq:
        return Continuity.FORGOTTEN
    return Continuity.UNBROKEN if last.lineage in (lineage, any_lineage) else Continuity.FORKED
