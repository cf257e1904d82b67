"""Gives each call of an attempt its key (argosy/workflow/keys.py has the grammar)."""

from argosy.workflow.journal import Park
from argosy.workflow.mismatch import counted_otherwise
from argosy.workflow.old_keys import OldKeys


class TurnKeys:
    """Counts the calls of an attempt. old: the keys of an older build that the turn's history has, or None.

    parted: the error that parks the turn, set when a task calls what may be recorded under such a key.
    """

    __slots__ = ("_counts", "_old", "parted")

    def __init__(self, old: OldKeys | None) -> None:
        self._counts: dict[str, int] = {}
        self._old = old
        self.parted: Park | None = None

    def next(self, scope: int, name: str) -> str:
        """Return the key of a task's next call of this name. scope: the task's number, 0 for the first task."""
        scoped = f"{scope}/{name}" if scope else name
        count = self._counts[scoped] = self._counts.get(scoped, 0) + 1
        key = scoped if count == 1 else f"{scoped}#{count}"
        if scope and self._old is not None and self.parted is None:
            self._check_old(self._old, scope, name, key)
        return key

    def _check_old(self, old: OldKeys, scope: int, name: str, asked: str) -> None:
        found = old.beyond(name, self._counts.get(name, 0))
        if found is not None:
            key, is_private = found
            told = ("a private step", "a private step") if is_private else (repr(key), repr(asked))
            self.parted = counted_otherwise(*told, scope)
