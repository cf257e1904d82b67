"""Runs turns: from a picked head to a written end, and what happens once the end is durable.

Rules:
- A turn runs while it holds a slot (admission.py).
- Only when its end, suspension or parking is durable does its session's next turn start, and are inbox rows read again
  that met the turn's last flush.
- A turn that was running when its owner died runs again with a higher attempt, and first records that (turn.reset). A
  turn that was in several crashes waits for its group, without a slot, or is parked (crash_rule.py, suspects.py).
- A cancelled turn whose code has begun is told so when it has a slot (cancels.py), and then ends like any other.
- A turn that is handed over keeps its slot until its last step in flight has ended here.
"""

from argosy import crash_points, telemetry
from argosy.turn.events import Event
from argosy.turn.keys import CANCEL
from argosy.turn.status import ACTIVE, ENDED, Status
from argosy.workers.dispatch import turn_times
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.execution.attempts import Attempts
from argosy.workers.dispatch.execution.cancels import Cancels
from argosy.workers.dispatch.execution.executed import AfterExecution
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.loading import Unreadable
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.catalog import Catalog
from argosy.workflow.journal import Park


class Executor:
    """Starts what the scheduler picks, while slots are free. cancels: of turns whose code has begun."""

    def __init__(
        self,
        scheduler: Scheduler,
        flusher: Flusher,
        catalog: Catalog,
        admission: Admission,
        cancels: Cancels,
        attempts: Attempts,
        then: AfterExecution,
    ) -> None:
        self._scheduler = scheduler
        self._flusher = flusher
        self._catalog = catalog
        self.admission = admission
        self._trials = admission.trials
        self.cancels = cancels
        self._attempts = attempts
        self._then = then
        self._count_ended = {status: telemetry.ENDED.labels(status=status.value).inc for status in ENDED}

    def fill(self) -> None:
        """Start heads while slots are free and the queue of flushes has room."""
        admission = self.admission
        if not admission.is_open:
            return
        for tried in admission.tried():
            self._enter(tried)
        while admission.has_room:
            turn = self._scheduler.pick()
            if turn is None:
                return
            if self._catalog.get(turn.workflow, turn.version) is None:
                self._then.after_lack(turn)
                continue
            admission.admit(turn)
            self._enter(turn)

    def _enter(self, turn: Turn) -> None:
        try:
            if turn.needs_load:
                self._then.after_pick(turn)
            else:
                self.begin(turn)
        except Exception as error:  # of this turn alone: the others must start
            self._then.after_failed_start(turn, error)

    def begin(self, turn: Turn) -> None:
        """Run a turn of which everything is in memory, unless it has ended meanwhile, must wait, or lacks its build."""
        if not self.admission.has(turn):
            return
        if not turn.is_live or turn.has_ended:
            self.dropped(turn)
            if turn.is_refused and not turn.owned.is_void:
                self._then.after_misreading(turn)  # its row in Postgres is not what memory believed
            return
        definition = self._catalog.get(turn.workflow, turn.version)
        if definition is None:
            self.admission.leave(turn)
            self._then.after_lack(turn)
            return
        if turn.is_accused and not self._trials.may_begin(turn):
            if turn.cancel_id is not None and turn.status in (Status.RUNNING, Status.SUSPENDED):
                self.end(turn, Status.CANCELLED, Event.TURN_CANCELLED)
            return
        if self._flusher.is_word_old(turn.owned):
            turn.await_start()
        self._attempts.start(turn, definition.version)
        if self._trials.is_used or turn.trial is not None:
            self._trials.started(turn)
        journal = self._attempts.open(turn)
        if (turn.cancel_id is not None or journal.replay.is_settled(CANCEL)) and not self.cancels.tell(turn):
            return
        self._attempts.begin(turn, definition, journal)

    def set_aside(self, turn: Turn, why: Unreadable) -> None:
        """Park a turn that cannot be read. Nothing of it has run."""
        if not self.admission.has(turn) or not turn.is_live or turn.has_ended:
            self.begin(turn)
            return
        self.park(turn, Park(why.reason, why.message))

    def park(self, turn: Turn, why: Park) -> None:
        """Park a turn of which nothing runs."""
        if turn.status is Status.PARKED:
            turn.become(Status.RUNNING)
        turn_change.park(turn, why)
        self._flusher.add(turn)

    def stop(self, turn: Turn, why: Stop) -> None:
        """Stop a running turn's code; `why` decides what the turn becomes."""
        turn.halt(why)

    def written(self, turns: list[Turn], at_s: float) -> None:
        """A flush with these turns is durable since at_s, database time: settle those that rest or have ended."""
        is_freed = False
        for turn in turns:
            if turn.written_status in ACTIVE or turn.is_queued_to_flush:
                continue
            self._settled(turn, at_s)
            is_freed = True
        if is_freed or (self._trials.is_used and self._trials.has_work):
            self._then.after_freeing()

    def end(self, turn: Turn, status: Status, event: Event) -> None:
        """End a turn of which nothing runs: it was cancelled, or its deadline passed."""
        turn_change.end_at_rest(turn, status, event)
        self._flusher.add(turn)

    def will_begin(self, turn: Turn) -> bool:
        """Whether the turn waits only for its slot and its history, and not for a trial or a build."""
        return self._scheduler.is_ready(turn) or self.admission.is_about_to_run(turn)

    def dropped(self, turn: Turn) -> None:
        """Free the slot of a turn that is not ours any more, or that ended without running."""
        self.admission.leave(turn)
        self.stop(turn, Stop.DROP)
        self._then.after_freeing()

    def forget(self, owned: Owned) -> None:
        """Free the slots of the turns of a lost partition, but for turns that are handed over."""
        self.admission.forget(owned)
        self._then.after_freeing()

    def handed_over(self, turn: Turn) -> None:
        """End a turn that was handed over: no step of it runs here any more."""
        if turn.execution is not None:
            turn.execution.cancel()
        self.admission.leave(turn)
        self._then.after_freeing()

    def _settled(self, turn: Turn, at_s: float) -> None:
        crash_points.reach("before_settle_seen")
        ran = self.admission.leave(turn)
        if turn.has_ended:
            self._count_ended[turn.status]()
            turn_times.ended(turn, at_s)
        if turn.has_ended and not turn.owned.is_lent:
            if ran:
                self._scheduler.ended(turn)
            else:
                self._scheduler.removed(turn)
        else:
            self._scheduler.left(turn)
        turn.release()
        if turn.cancel_id is not None or turn.cancel_until_s is not None:
            self.cancels.settled(turn)
        if turn.deferred:
            self._then.after_deferral(turn)

    def broken_off(self, turn: Turn) -> None:
        """Argosy's code failed with the turn: drop it, and read it again. What Postgres has of it is right."""
        if turn.is_live:
            turn.refuse()
            self.begin(turn)
