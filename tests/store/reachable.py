"""What one flush may write, by the table of what a turn may become."""

from argosy.turn.status import Status
from argosy.turn.transitions import TRANSITIONS


def reachable(before: Status) -> frozenset[Status]:
    """Return every state that one flush may write for a turn that it found in `before`.

    A flush folds the transitions that a turn made since the last one into one row, so queued → running → completed is
    written as queued → completed.
    """
    seen: set[Status] = set()
    frontier = [before]
    while frontier:
        for after in TRANSITIONS[frontier.pop()]:
            if after not in seen:
                seen.add(after)
                frontier.append(after)
    return frozenset(seen)
