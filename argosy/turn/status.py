"""The states of a turn (the words of the API, the SQL and the metrics) and their groups."""

from enum import StrEnum


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


ENDED = frozenset(
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
HELD = frozenset({Status.RUNNING, Status.SUSPENDED, Status.PARKED})  # at most one per session
OPEN = HELD | {Status.QUEUED}
