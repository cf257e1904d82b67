"""Runs turns that were in crashes: what is known against them is durable before they begin.

Rules (what a crash says is in crash_rule.py, which turn begins when in suspects.py):
- A turn that was in a crash begins only when its start is durable, and with it what it is tried for: otherwise it could
  kill worker after worker and never be counted.
- So does a turn of which nothing was written since an owner of its partition died (found_turn.py): it may kill each
  worker that wakes it, before anything of that is recorded.
- The end of a trial enters the queue of flushes before the beginning of the next one.
- A turn that waits holds no slot and no history, which is read again when its time has come.
"""

import asyncio

import structlog

from argosy import telemetry
from argosy.config import Settings
from argosy.turn import trial
from argosy.turn.status import Status
from argosy.turn.trial import Kind, Trial
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution import crash_rule, turn_change
from argosy.workers.dispatch.execution.crash_rule import Run, Standing
from argosy.workers.dispatch.execution.executed import AfterFreeing
from argosy.workers.dispatch.execution.suspects import Moves, Suspects
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.owned import Resume
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.journal import Park

log = structlog.get_logger()

_SLACK_S = 0.002  # a look a moment too early would have to be repeated


class Trials:
    """The trials of one worker. then: told when the time of a waiting turn may have come.

    is_used: whether any turn was to be tried since the process began. Until then nothing rests, is reserved or has to
    be looked at, and no turn need be told that it has gone.
    """

    def __init__(self, flusher: Flusher, database_clock: DatabaseClock, settings: Settings, then: AfterFreeing) -> None:
        self._flusher = flusher
        self._watch_s_max = settings.suspect_watch_s_max
        self._database_clock = database_clock
        self._then = then
        self._suspects: Suspects[Turn] = Suspects(settings.dispatch_slots)
        # Turns whose time has come, until their code begins: with their standing, and the size of their group.
        self._admitted: dict[Turn, tuple[Standing, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0
        self.is_used = False

    @property
    def has_work(self) -> bool:
        return self._suspects.has_work

    @property
    def resting(self) -> int:
        """How many turns wait, and hold no slot."""
        return self._suspects.resting

    @property
    def reserved(self) -> int:
        """How many slots to keep free for waiting turns."""
        return self._suspects.reserved

    def is_resting(self, turn: Turn) -> bool:
        """Whether the turn waits, for the trials of others or for its own."""
        return self._suspects.is_resting(turn)

    def may_begin(self, turn: Turn) -> bool:
        """Whether the turn may run now. If not, it is parked, or it waits until `look` returns it."""
        if turn in self._admitted:
            return True
        is_crash = turn.status is Status.RUNNING and turn.resume is Resume.CRASHED
        if not turn.is_accused:
            return True
        if turn.status not in (Status.RUNNING, Status.SUSPENDED):
            return True  # an operator resumed it
        known = trial.decode(turn.trial)
        standing = crash_rule.weigh(
            turn.crashes,
            known,
            turn.attempt,
            is_crash=is_crash,
            now_s=self._database_clock.now_s(),
            watch_s_max=self._watch_s_max,
        )
        turn.accuse(standing.crashes)
        turn.await_start()
        if standing.run is Run.FREE:
            return True
        if standing.run is Run.PARK:
            self._park(turn)
            return False
        if known is not None and known.kind is Kind.WAITS and turn.resume is Resume.MOVED:
            turn.resume_as(Resume.UNHEARD)  # its former owner had not begun it again before the hand-over
        self.is_used = True
        if self._suspects.meet(turn, standing, turn.tenant, _now_s()):
            self._admitted[turn] = standing, 0
            return True
        turn.forget_history()
        self._wake(0.0)
        return False

    def started(self, turn: Turn) -> None:
        """Put what the turn is tried for into its row. Its attempt is known, and none of its code has run.

        Need not be called while nothing was ever tried, for a turn whose row says nothing of a trial.
        """
        admitted = self._admitted.pop(turn, None)
        if admitted is None:
            turn.put_on_trial(None)
            return
        self._suspects.started(turn, _now_s())
        standing, size = admitted
        kind, watch_s = Kind.TOGETHER, standing.outlived_s
        if standing.run is Run.TRIED:
            kind, watch_s = Kind.TRIED, standing.watch_s
        self._know(turn, kind, standing, watch_s, size=size, at_s=self._database_clock.now_s())
        turn.await_start()

    def gone(self, turn: Turn) -> None:
        """Forget a turn that does not run here any more."""
        if self.is_used:
            self._admitted.pop(turn, None)
            self._suspects.gone(turn)

    def look(self, room: int) -> list[Turn]:
        """Return the turns whose time has come, and write what changed for the others. room: free slots."""
        suspects, now_s = self._suspects, _now_s()
        for turn in suspects.running():
            if not turn.crashes and turn not in self._admitted:  # it recorded an outcome of a step
                suspects.gone(turn)
        on_trial = suspects.on_trial
        moves = suspects.look(now_s, room)
        self._write(moves, now_s)
        self._tell(moves, on_trial)
        if (due_s := suspects.due_s(now_s)) is not None:
            self._wake(due_s)
        for turn, standing, size in moves.begin:
            self._admitted[turn] = standing, size
        return [turn for turn, _, _ in moves.begin]

    def _wake(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        at_s = loop.time() + delay_s + _SLACK_S
        if self._timer is not None:
            if self._timer_at_s <= at_s:
                return
            self._timer.cancel()
        self._timer, self._timer_at_s = loop.call_at(at_s, self._woken), at_s

    def _woken(self) -> None:
        self._timer = None
        self._then.after_freeing()

    def _write(self, moves: Moves[Turn], now_s: float) -> None:
        for turn, standing in moves.spared:
            turn.accuse(standing.crashes)
            self._rewrite(turn, Kind.SPARED, standing, standing.watch_s)
        for turn, standing, size in moves.adjourned:
            self._rewrite(turn, Kind.ADJOURNED, standing, standing.watch_s, size)
        here_s = self._database_clock.now_s()
        for turn, standing, trial_s in moves.beside:
            self._rewrite(turn, Kind.BESIDE, standing, standing.outlived_s, until_s=here_s + trial_s)
        for each in moves.waits:
            turn, standing = each.turn, each.standing
            if turn.status is Status.RUNNING and turn.is_live and turn.stop is None:
                watch_s = standing.watch_s if standing.run is Run.TRIED else standing.outlived_s
                until_s = here_s + each.until_s - now_s
                self._know(turn, Kind.WAITS, standing, watch_s, standing.size, here_s, each.behind, until_s)
                self._flusher.add(turn)

    def _rewrite(
        self, turn: Turn, kind: Kind, standing: Standing, watch_s: float, size: int = 0, until_s: float = 0.0
    ) -> None:
        """Write a new trial for a turn that runs; one that has ended, rests or is handed over is left alone."""
        if turn.status is Status.RUNNING and turn.is_live and turn.stop is None and turn.trial is not None:
            self._know(turn, kind, standing, watch_s, size, _known_at_s(turn), until_s=until_s)
            self._flusher.add(turn)

    def _know(
        self,
        turn: Turn,
        kind: Kind,
        standing: Standing,
        watch_s: float,
        size: int,
        at_s: float,
        behind: int = 0,
        until_s: float = 0.0,
    ) -> None:
        alone, beside, longest_s = standing.alone, standing.beside, standing.longest_s
        known = Trial(kind, turn.attempt, at_s, size, alone, watch_s, beside, longest_s, behind, until_s)
        turn.put_on_trial(trial.encode(known))

    def _tell(self, moves: Moves[Turn], on_trial: int) -> None:
        suspects = self._suspects
        if on_trial and not suspects.on_trial - len(moves.begin):
            outcome = "lived_through" if moves.spared else "adjourned" if moves.adjourned else "progress"
            telemetry.TRIALS_ENDED.labels(outcome=outcome).inc()
            log.warning(telemetry.SUSPECTS_CLEARED, outcome=outcome, turns=on_trial)
        if group := [standing for _, standing, size in moves.begin if size]:
            log.warning(
                telemetry.SUSPECTS_TRIED,
                turns=len(group),
                watch_s=round(group[0].watch_s, 1),
                waiting=suspects.resting,
            )
        telemetry.SUSPECTS.labels(state="waiting").set(suspects.resting)
        telemetry.SUSPECTS.labels(state="on_trial").set(suspects.on_trial)
        telemetry.TRIALS.set(1 if suspects.on_trial else 0)

    def _park(self, turn: Turn) -> None:
        message = (
            f"{turn.crashes} workers died while it ran, {crash_rule.ALONE_CRASHES} of them while it was the only one "
            "on trial. Look into its code, then resume or cancel it"
        )
        turn_change.park(turn, Park(crash_rule.PARK_REASON, message))
        self._flusher.add(turn)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _known_at_s(turn: Turn) -> float:
    known = trial.decode(turn.trial)
    return 0.0 if known is None else known.at_s
