"""Who may run: how many turns hold a slot, and whether further ones may start.

Rules:
- A turn holds a slot from when it is admitted until its end, suspension or parking is durable, or its partition is
  lost. While it waits for a trial, it holds none.
- Nothing new starts while the worker drains, or while Postgres has been away for too long.
- A further turn is admitted only while the queue of flushes has room, and not into a slot that waiting turns need for
  their trials.
"""

from collections.abc import Collection, Sequence

from argosy.config import Settings
from argosy.workers.dispatch.execution.trials import Trials
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.turn import Stop, Turn


class Admission:
    """The slots of one worker. trials: of turns that were in crashes."""

    def __init__(self, flusher: Flusher, trials: Trials, settings: Settings) -> None:
        self._flusher = flusher
        self.trials = trials
        self._slots = settings.dispatch_slots
        self._flush_queue_max = settings.flush_queue_max
        self._admitted: set[Turn] = set()
        self._is_draining = False
        self.is_cut_off = False

    @property
    def is_open(self) -> bool:
        """Whether turns may start here."""
        return not (self._is_draining or self.is_cut_off)

    def drain(self) -> None:
        """Let nothing start any more: the worker drains."""
        self._is_draining = True

    def cut_off(self) -> None:
        """Let nothing start until `reconnect`: Postgres has been away for too long."""
        self.is_cut_off = True

    def reconnect(self) -> None:
        """Postgres answers again."""
        self.is_cut_off = False

    @property
    def turns(self) -> Collection[Turn]:
        """The turns that were admitted: they hold a slot, or wait for their trial."""
        return self._admitted

    @property
    def running(self) -> int:
        """How many turns hold a slot."""
        return len(self._admitted) - (self.trials.resting if self.trials.is_used else 0)

    @property
    def has_room(self) -> bool:
        """Whether one more turn may be admitted."""
        trials, flusher = self.trials, self._flusher
        taken = len(self._admitted)
        if trials.is_used:
            taken += trials.reserved - trials.resting
        return taken < self._slots and flusher.waiting < self._flush_queue_max and not flusher.is_full

    def tried(self) -> Sequence[Turn]:
        """Return the turns whose trial begins now."""
        trials = self.trials
        return trials.look(self._slots - self.running) if trials.is_used and trials.has_work else ()

    def admit(self, turn: Turn) -> None:
        self._admitted.add(turn)

    def has(self, turn: Turn) -> bool:
        """Whether the turn was admitted: it holds a slot, or waits for its trial."""
        return turn in self._admitted

    def is_about_to_run(self, turn: Turn) -> bool:
        """Whether the turn was admitted, and does not wait for a trial."""
        return turn in self._admitted and not self.trials.is_resting(turn)

    def leave(self, turn: Turn) -> bool:
        """Free the turn's slot. Return whether it was admitted."""
        was_admitted = turn in self._admitted
        self._admitted.discard(turn)
        if self.trials.is_used:
            self.trials.gone(turn)
        return was_admitted

    def forget(self, owned: Owned) -> None:
        """Free the slots of the turns of a lost partition, but for turns that are handed over."""
        gone = {turn for turn in self._admitted if turn.owned is owned and turn.stop is not Stop.HANDOVER}
        self._admitted -= gone
        for turn in gone:
            self.trials.gone(turn)
