"""Bounds the tries of an operation that fail for reasons that waiting does not always mend.

The shard may have been busy, and what makes vectors out of order for a moment; but a read that asks for too much, or a
function with a bug, would be tried for ever. The bound holds however often the turn begins again.
"""

from typing import Final, NoReturn

from argosy.errors import StepFailedError
from argosy.workflow import outcome
from argosy.workflow.journal import Journal

_MAX: Final = 5  # the pauses between tries grow: what mends by itself has done so by then


class Overruns:
    """Counts the overruns of one operation. key: of the operation; kinds: the errors that are counted."""

    __slots__ = ("_count", "_journal", "_key", "_names")

    def __init__(self, journal: Journal, key: str, kinds: tuple[type[Exception], ...]) -> None:
        self._journal = journal
        self._key = key
        self._names = {each.__name__ for each in kinds}
        self._count = 0

    def take(self, error: Exception) -> NoReturn:
        """Raise the error, for another try; after the last one StepFailedError."""
        self._count = (self._count or self._earlier()) + 1
        if self._count >= _MAX:
            raise StepFailedError(str(error), type(error).__name__) from error
        raise error

    def _earlier(self) -> int:
        """Return how many tries of earlier attempts ended so."""
        failures = self._journal.replay.failures(self._key)
        return sum(outcome.type_of(data) in self._names for data in failures)
