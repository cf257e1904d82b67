"""The time of a turn's loop, which is the same in every replay."""

from argosy.turn.events import Event
from argosy.turn.keys import TIME
from argosy.workflow import outcome
from argosy.workflow.journal import Journal
from argosy.workflow.replay import TurnKeys


class TurnTime:
    """The turn's time, which stands still between two outcomes.

    It is recorded when the code first asks for it after an outcome, so only turns that ask for it pay for it. A replay
    may record it, too: where a crash lost the record, and a step in flight ended after it (a hand-over).
    """

    __slots__ = ("_is_known", "_journal", "_keys", "_now_s", "is_closed")

    def __init__(self, journal: Journal, keys: TurnKeys) -> None:
        self.is_closed = False
        self._journal = journal
        self._keys = keys
        self._is_known = False
        self._now_s = 0.0

    def pass_on(self) -> None:
        """Let time go on: an outcome is delivered."""
        self._is_known = False

    def now_s(self) -> float:
        """Return the seconds since 1970 by the database's clock; never less than before."""
        if not self._is_known and not self.is_closed:
            self._is_known = True
            key = self._keys.next(0, TIME)
            if (found := self._journal.replay.recorded(key)) is not None:
                self._now_s = float(outcome.value_of(found))
            else:
                self._now_s = max(self._now_s, self._journal.database_time_s())
                self._journal.record(Event.VALUE_RECORDED, key, outcome.value(repr(self._now_s)))
        return self._now_s
