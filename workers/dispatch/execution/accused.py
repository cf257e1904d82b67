"""An accused turn in this process, and the groups in which those that wait are tried. Pure."""

from collections import Counter
from typing import Generic, TypeVar

from argosy.workers.dispatch.execution.crash_rule import WATCH_S_MIN, Standing

T = TypeVar("T")


class Accused(Generic[T]):
    """An accused turn in this process. began_s: None while it waits."""

    __slots__ = ("began_s", "came_s", "is_written", "standing", "tenant", "turn")

    def __init__(self, turn: T, standing: Standing, tenant: str, came_s: float) -> None:
        self.turn = turn
        self.standing = standing
        self.tenant = tenant
        self.came_s = came_s
        self.began_s: float | None = None
        # Whether Moves.waits has named it: what it waits for is written.
        self.is_written = False


def told_at_s(entry: Accused[T]) -> float:
    """Return when a running turn will have lived for MARGIN times what it ran before its crash, or longer (watch_s)."""
    return (entry.began_s or 0.0) + max(WATCH_S_MIN, entry.standing.watch_s)


def plan(waiting: list[Accused[T]], *, is_first: bool = False) -> list[list[Accused[T]]]:
    """Return the groups in which the waiting turns are tried, in order. is_first: only the first group."""
    seen: Counter[str] = Counter()
    ranked = []
    for number, each in enumerate(waiting):
        standing = each.standing
        rank = (-standing.size, standing.alone, standing.watch_s, seen[each.tenant], number)
        seen[each.tenant] += 1
        ranked.append((rank, each))
    left = [each for _, each in sorted(ranked, key=lambda each: each[0])]
    groups: list[list[Accused[T]]] = []
    while left and not (is_first and groups):
        group: list[Accused[T]] = []
        for each in left:
            if each.standing.size <= len(group):
                break
            if each.standing.watch_s <= 2 * left[0].standing.watch_s:
                group.append(each)
        groups.append(group)
        taken = set(map(id, group))
        left = [each for each in left if id(each) not in taken]
    return groups
