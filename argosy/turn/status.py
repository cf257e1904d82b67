"""The states of a turn (the words of the API, the SQL and the metrics) and their groups."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    ACCEPTED = "accepted"  # in the log; Postgres does not have it yet
    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    PARKED = "parked"  # needs an operator; holds its session
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    MERGED = "merged"
    DUPLICATE = "duplicate"


ENDED: Final = frozenset(
    {
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELLED,
        Status.EXPIRED,
        Status.REJECTED,
        Status.MERGED,
        Status.DUPLICATE,
    }
)
HELD: Final = frozenset({Status.RUNNING, Status.SUSPENDED, Status.PARKED})  # at most one per session
OPEN: Final = HELD | {Status.QUEUED}
ACTIVE: Final = frozenset({Status.QUEUED, Status.RUNNING})  # it needs a worker, and nobody else
RESTING: Final = OPEN - ACTIVE  # it waits for what comes from outside
MAY_GO_ON: Final = OPEN - {Status.PARKED}  # without an operator
