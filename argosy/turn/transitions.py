"""The one table of what a turn may become. Tests compare every guarded UPDATE and the schema's checks with it.

Invariants:
- An ended turn never changes.
- Only a held turn (running, suspended, parked) stands between a session and its next turn.
- Attempts only grow, and only a (re-)execution raises them.
"""

from typing import Final

from argosy.turn.status import Status

TRANSITIONS: Final[dict[Status, frozenset[Status]]] = {
    Status.ACCEPTED: frozenset({Status.QUEUED, Status.CANCELLED, Status.REJECTED, Status.DUPLICATE, Status.MERGED}),
    Status.QUEUED: frozenset(
        {Status.RUNNING, Status.CANCELLED, Status.EXPIRED, Status.REJECTED, Status.MERGED, Status.PARKED}
    ),
    Status.RUNNING: frozenset(
        {Status.SUSPENDED, Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED, Status.PARKED}
    ),
    Status.SUSPENDED: frozenset({Status.RUNNING, Status.CANCELLED, Status.EXPIRED, Status.PARKED}),
    Status.PARKED: frozenset({Status.RUNNING, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.MERGED: frozenset(),
    Status.DUPLICATE: frozenset(),
}


class IllegalTransitionError(AssertionError):
    """A bug in Argosy: the turn keeps its state."""


def advance(before: Status, after: Status) -> Status:
    """Return the state after a transition. Raises IllegalTransitionError when the table has no such edge."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransitionError(f"a {before} turn cannot become {after}")
    return after
