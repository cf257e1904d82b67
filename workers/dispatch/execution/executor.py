"""Runs turns: from a picked head to a written end, and what happens once the end is durable.

Rules:
- A turn holds a slot from when `fill` picks it until its end, suspension or parking is durable, or its partition is
  lost. While it waits for a trial, it holds none.
- Only then does its session's next turn start, and are inbox rows read again that met the turn's last flush.
- A turn that was running when its owner died runs again with a higher attempt, and first records that (turn.reset). A
  turn that was in several crashes waits for its group, without a slot, or is parked (crash_rule.py, suspects.py).
- A cancelled turn whose code has begun is told so when it has a slot (cancels.py), and then ends like any other.
- A turn that is handed over keeps its slot until its last step in flight has ended here.
"""

from collections.abc import Callable

import structlog

from argosy import crash_points, telemetry
from argosy.turn.events import Event
from argosy.turn.status import ACTIVE, ENDED, Status
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.attempts import Attempts
from argosy.workers.dispatch.execution.cancels import Cancels
from argosy.workers.dispatch.execution.journal import TurnJournal
from argosy.workers.dispatch.execution.limits import Limits
from argosy.workers.dispatch.execution.trials import Trials
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.owned import Owned
from argosy.workers.dispatch.scheduling.histories import unreadable
from argosy.workers.dispatch.scheduling.loading import Unreadable
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Stop, Turn
from argosy.workflow.catalog import Catalog
from argosy.workflow.journal import Park
from argosy.workflow.keys import CANCEL
from argosy.workflow.step_runner import Bounds
from argosy.workflow.threads import Threads

log = structlog.get_logger()


class Executor:
    """Starts what the scheduler picks, while slots are free.

    load(turn): reads the turn's history, then calls `begin`; again(turn): reads its deferred inbox rows again;
    read_anew(turn): reads from Postgres a turn that was refused; on_lacking(turn): takes a head whose build this worker
    lacks; say: logs an error (Rounds.say).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        flusher: Flusher,
        catalog: Catalog,
        threads: Threads,
        *,
        slots: int,
        flush_queue_max: int,
        limits: Limits,
        database_clock: DatabaseClock,
        load: Callable[[Turn], None],
        again: Callable[[Turn], None],
        read_anew: Callable[[Turn], None],
        on_freed: Callable[[], None],
        on_lacking: Callable[[Turn], None],
        listener_of: Callable[[Turn], Callable[[], None] | None] = lambda _: None,
        is_followed: Callable[[Turn], bool] = lambda _: False,
        say: Callable[..., object] = lambda *_, **__: None,
    ) -> None:
        self._scheduler = scheduler
        self._flusher = flusher
        self._catalog = catalog
        self._slots = slots
        self._flush_queue_max = flush_queue_max
        self._limits = limits
        self._database_clock = database_clock
        self._load = load
        self._again = again
        self._read_anew = read_anew
        self._on_freed = on_freed
        self._on_lacking = on_lacking
        self._listener_of = listener_of
        self._is_followed = is_followed
        self._say = say
        bounds = Bounds(limits.payload_size_bytes_max, limits.step_timeout_s_max, limits.callbacks_max)
        self._attempts = Attempts(flusher, threads, bounds, self._broken)
        self._running: set[Turn] = set()
        self._trials = Trials(
            flusher,
            slots=slots,
            watch_s_max=limits.suspect_watch_s_max,
            database_clock=database_clock,
            fill=on_freed,
        )
        self.cancels = Cancels(
            limits.cancel_cleanup_s,
            database_clock,
            may_start=lambda: not (self.is_draining or self.is_cut_off),
            is_here=lambda turn: self._scheduler.live.get(turn.turn_id) is turn,
            end=lambda turn: self.end(turn, Status.CANCELLED, Event.TURN_CANCELLED),
            stop=lambda turn: self.stop(turn, Stop.CANCEL),
        )
        self._count_ended = {status: telemetry.ENDED.labels(status=status.value).inc for status in ENDED}
        # Either: nothing new starts. The worker drains, or Postgres has been away for too long.
        self.is_draining = False
        self.is_cut_off = False

    @property
    def running(self) -> int:
        """How many turns hold a slot."""
        return len(self._running) - self._trials.resting

    def fill(self) -> None:
        """Start heads while slots are free and the queue of flushes has room."""
        if self.is_draining or self.is_cut_off:
            return
        flusher, trials = self._flusher, self._trials
        for tried in trials.look(self._slots - self.running) if trials.has_work else ():
            self._enter(tried)
        while (
            len(self._running) - trials.resting + trials.reserved < self._slots
            and flusher.waiting < self._flush_queue_max
            and not flusher.is_full
        ):
            turn = self._scheduler.pick()
            if turn is None:
                return
            if self._catalog.get(turn.workflow, turn.version) is None:
                self._on_lacking(turn)
                continue
            self._running.add(turn)
            self._enter(turn)

    def _enter(self, turn: Turn) -> None:
        try:
            (self._load if turn.needs_load else self.begin)(turn)
        except Exception as error:  # of this turn alone: the others must start
            self._say(error, turn_id=str(turn.turn_id))
            self.set_aside(turn, unreadable(error))

    def begin(self, turn: Turn) -> None:
        """Run a turn of which everything is in memory, unless it has ended meanwhile, must wait, or lacks its build."""
        if turn not in self._running:
            return
        if not turn.is_live or turn.has_ended:
            self.dropped(turn)
            if turn.is_refused and not turn.owned.is_void:
                self._read_anew(turn)  # its row in Postgres is not what memory believed
            return
        definition = self._catalog.get(turn.workflow, turn.version)
        if definition is None:
            self._running.discard(turn)
            self._trials.gone(turn)
            self._on_lacking(turn)
            return
        if not self._trials.may_begin(turn):
            if turn.cancel_id is not None and turn.status in (Status.RUNNING, Status.SUSPENDED):
                self.end(turn, Status.CANCELLED, Event.TURN_CANCELLED)
            return
        if self._flusher.is_word_old(turn.owned):
            turn.await_start()
        turn_change.start(turn, definition.version)
        self._trials.started(turn)
        journal = TurnJournal(
            turn,
            self._flusher,
            database_clock=self._database_clock,
            limits=self._limits,
            listener_of=self._listener_of,
            on_quiet=self.suspend,
        )
        turn.run_by(journal)
        if (turn.cancel_id is not None or journal.replay.is_settled(CANCEL)) and not self.cancels.tell(turn):
            return
        if self._is_followed(turn):
            self._flusher.add(turn)
        else:
            self._flusher.add_lazily(turn)
        self._attempts.begin(turn, definition, journal)

    def set_aside(self, turn: Turn, why: Unreadable) -> None:
        """Park a turn that cannot be read. Nothing of it has run."""
        if turn not in self._running or not turn.is_live or turn.has_ended:
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

    def suspend(self, turn: Turn) -> None:
        """Suspend a turn whose code does nothing but wait: write its waits, and free everything."""
        if turn.stop is not None or not turn.is_live or turn.status is not Status.RUNNING or turn.cancel_until_s:
            return
        turn_change.suspend(turn)
        self._flusher.add(turn)
        self.stop(turn, Stop.SUSPEND)

    def written(self, turns: list[Turn]) -> None:
        """A flush with these turns is durable: settle those that rest or have ended."""
        is_freed = False
        for turn in turns:
            if turn.written_status in ACTIVE or turn.is_queued_to_flush:
                continue
            self._settled(turn)
            is_freed = True
        if is_freed or self._trials.has_work:
            self._on_freed()

    def end(self, turn: Turn, status: Status, event: Event) -> None:
        """End a turn of which nothing runs: it was cancelled, or its deadline passed."""
        turn_change.end(turn, status, event, turn.error if turn.cancel_until_s and turn.error else b"{}")
        self._flusher.add(turn)

    def will_begin(self, turn: Turn) -> bool:
        """Whether the turn waits only for its slot and its history, and not for a trial or a build."""
        return self._scheduler.is_ready(turn) or (turn in self._running and not self._trials.is_resting(turn))

    def dropped(self, turn: Turn) -> None:
        """Free the slot of a turn that is not ours any more, or that ended without running."""
        self._running.discard(turn)
        self._trials.gone(turn)
        self.stop(turn, Stop.DROP)
        self._on_freed()

    def forget(self, owned: Owned) -> None:
        """Free the slots of the turns of a lost partition, but for turns that are handed over."""
        gone = {turn for turn in self._running if turn.owned is owned and turn.stop is not Stop.HANDOVER}
        self._running -= gone
        for turn in gone:
            self._trials.gone(turn)
        self._on_freed()

    def handed_over(self, turn: Turn) -> None:
        """End a turn that was handed over: no step of it runs here any more."""
        if turn.execution is not None:
            turn.execution.cancel()
        self._running.discard(turn)
        self._trials.gone(turn)
        self._on_freed()

    def _settled(self, turn: Turn) -> None:
        crash_points.reach("before_settle_seen")
        ran = turn in self._running
        self._running.discard(turn)
        self._trials.gone(turn)
        if turn.has_ended:
            self._count_ended[turn.status]()
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
            self._again(turn)

    def _broken(self, turn: Turn, bug: Exception) -> None:
        """Drop a turn on which code of Argosy failed, and read it again: what Postgres has of it is right."""
        self._say(bug, turn_id=str(turn.turn_id))
        if turn.is_live:
            turn.refuse()
            self.begin(turn)
