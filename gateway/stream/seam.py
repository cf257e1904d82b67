"""The seam of history and what owners send live: whether an item is new to a client and may be sent to it now. Pure.

Promise: a client gets the events of a turn 1..n once each, in order. What an owner sends twice, late, or from a history
that was given up does not reach the client.
"""

from enum import Enum
from typing import NamedTuple


class Next(Enum):
    """What to do with an item from an owner."""

    TELL = "tell"
    DROP = "drop"
    READ = "read"  # read Postgres first: it has something that comes before the item, or has gone back


class Last(NamedTuple):
    """The last durable event that a client has of a turn; seq 0: none.

    checked: the newest lineage under which that event was found in history.
    """

    lineage: int
    seq: int
    attempt: int
    checked: int


def of_event(last: Last, lineage: int, seq: int) -> Next:
    """Return what to do with a durable event from an owner."""
    if not last.seq:
        return Next.TELL if seq == 1 else Next.READ
    if lineage > last.checked:
        return Next.READ  # history may have forked before the client's last event
    if seq <= last.seq or lineage < last.lineage:
        return Next.DROP
    return Next.TELL if seq == last.seq + 1 else Next.READ


def of_frame(last: Last, lineage: int, seq: int, attempt: int) -> Next:
    """Return what to do with a frame from an owner. lineage, seq: of the durable event that the frame follows."""
    if seq > last.seq or lineage > last.checked:
        return Next.READ
    return Next.TELL if attempt == last.attempt else Next.DROP


def lineage_of(epoch: int) -> int:
    """Return the lineage under which a claim was made: the upper half of its epoch."""
    return epoch >> 32


class Found(Enum):
    """Whether history has the last event that a client has."""

    COMMON = "common"
    FORKED = "forked"  # it is not in history: go back to the last event that is in both
    FORGOTTEN = "forgotten"  # history begins later


def of_history(last: Last, first: tuple[int, int] | None, any_lineage: int) -> Found:
    """Return whether history has the client's last event.

    first: lineage and seq of the first event in history, from the client's last one on; None: there is none.
    last.lineage: any_lineage when the client does not know it.
    """
    if not last.seq:
        return Found.COMMON if first is None or first[1] == 1 else Found.FORGOTTEN
    if first is None:
        return Found.FORKED
    lineage, seq = first
    if seq > last.seq:
        return Found.FORGOTTEN
    return Found.COMMON if last.lineage in (lineage, any_lineage) else Found.FORKED
