"""The time of a turn: that of its loop, in every replay the same."""

from argosy.turn.events import Event
from argosy.workflow import outcome
from argosy.workflow.journal import Journal
from argosy.workflow.keys import TIME
from argosy.workflow.turn_keys import TurnKeys


class TurnTime:
    """Stands still between two outcomes. Recorded when it is first asked for after one, so it costs only who asks: also
    in a replay, where a crash took what was recorded and a step in flight ended after it (a hand-over).
    """

    __slots__ = ("_is_known", "_journal", "_keys", "_now_s", "is_closed")

    def __init__(self, journal: Journal, keys: TurnKeys) -> None:
        self.is_closed = False
        self._journal = journal
        self._keys = keys
        self._is_known = False
        self._now_s = 0.0

    def pass_on(self) -> None:
        """An outcome is delivered."""
        self._is_known = False

    def now_s(self) -> float:
        """Seconds since 1970 by the database's clock; never less than before."""
        if not self._is_known and not self.is_closed:
            self._is_known = True
            key = self._keys.next(0, TIME)
            if (found := self._journal.replay.recorded(key)) is not None:
                self._now_s = float(outcome.value_of(found))
            else:
                self._now_s = max(self._now_s, self._journal.database_time_s())
                self._journal.record(Event.VALUE_RECORDED, key, outcome.value(repr(self._now_s)))
        return self._now_s
