"""Cancels of turns whose code has begun: when the code is told, and when its time to clean up is over.

Rules:
- The row of a cancel stays due until its turn has ended, so the next worker that has the turn finds it. History says
  that the code was told, and until when it may clean up (turn.cancelling), so that holds over crashes and hand-overs.
- A turn that waits for a slot gets one before other turns of its tenant, and is told of its cancel then. If it has none
  after CANCEL_CLEANUP_S, it ends without its code: a cancel always ends a turn.
- A turn in clean-up is not suspended. A clean-up that is not done after CANCEL_CLEANUP_S is cut off and logged.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from argosy import telemetry
from argosy.config import Settings
from argosy.turn.events import Cancelling, Event
from argosy.turn.keys import CANCEL
from argosy.turn.status import Status
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution import turn_change
from argosy.workers.dispatch.execution.admission import Admission
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.scheduling.scheduler import Scheduler
from argosy.workers.dispatch.turn import Stop, Turn

log = structlog.get_logger()

_LONG: Final = "took longer than CANCEL_CLEANUP_S={:g}"
REASON: Final = "cancelling"  # turns.reason of a running turn in clean-up


_decode: Final = msgspec.json.Decoder(Cancelling).decode


class Cancels:
    """Tells turns of their cancels, and ends those whose time is over."""

    def __init__(
        self,
        scheduler: Scheduler,
        flusher: Flusher,
        admission: Admission,
        database_clock: DatabaseClock,
        settings: Settings,
    ) -> None:
        self._scheduler = scheduler
        self._flusher = flusher
        self._admission = admission
        self._database_clock = database_clock
        self._cleanup_s = settings.cancel_cleanup_s
        self._timers: dict[Turn, asyncio.TimerHandle] = {}

    def take(self, turn: Turn) -> None:
        """Cancel a turn that runs, or that waits for its slot."""
        if turn.journal is not None:
            self.tell(turn)
        elif turn not in self._timers:
            self._arm(turn, self._cleanup_s)

    def tell(self, turn: Turn) -> bool:
        """Tell the code of a turn that runs, or is about to. Return False when its time to clean up is over already."""
        now_s = self._database_clock.now_s()
        if turn.cancel_until_s is None:
            journal = turn.open_journal
            found = journal.replay.recorded(CANCEL)
            until_s = now_s + self._cleanup_s if found is None else _decode(found.data).until.timestamp()
            turn.clean_up_until(until_s, REASON)
            if found is None:
                journal.cancel(msgspec.json.encode(Cancelling(datetime.fromtimestamp(until_s, UTC))))
        else:
            until_s = turn.cancel_until_s
        left_s = until_s - now_s
        if left_s <= 0:
            self.cut_off(turn, _LONG.format(self._cleanup_s))
            return False
        self._arm(turn, left_s)
        return True

    def settled(self, turn: Turn) -> None:
        """The turn has ended or rests, durably: stop its timer. If it rests, its cancel is read again (deferred)."""
        self._disarm(turn)
        if turn.cancel_id is not None and not turn.has_ended:
            turn.defer(turn.cancel_id)

    def cut_off(self, turn: Turn, why: str) -> None:
        """End a turn in clean-up now, with `why` in its error."""
        if turn.stop is not None or turn.has_ended:
            return
        log.warning(telemetry.CLEANUP_CUT_OFF, turn_id=str(turn.turn_id), workflow=turn.workflow, why=why)
        telemetry.CLEANUPS.labels(outcome="cut_off").inc()
        turn.blame(msgspec.json.encode({"type": "CleanupCutOff", "message": f"its clean-up {why}"}))
        if turn.execution is None:
            self._end(turn)
        else:
            turn.halt(Stop.CANCEL)

    def _disarm(self, turn: Turn) -> None:
        if (timer := self._timers.pop(turn, None)) is not None:
            timer.cancel()

    def _arm(self, turn: Turn, delay_s: float) -> None:
        self._disarm(turn)
        self._timers[turn] = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._is_late, turn)

    def _is_late(self, turn: Turn) -> None:
        """The turn's time is over: to clean up, when it runs; to get a slot, when it waits for one."""
        del self._timers[turn]
        if (
            turn.has_ended
            or not turn.is_live
            or turn.owned.is_closing
            or self._scheduler.live.get(turn.turn_id) is not turn
        ):
            return  # the next owner finds its cancel
        if turn.journal is not None:
            self.cut_off(turn, _LONG.format(self._cleanup_s))
        elif self._admission.is_open:
            self._end(turn)
        else:
            self._arm(turn, self._cleanup_s)

    def _end(self, turn: Turn) -> None:
        turn_change.end_at_rest(turn, Status.CANCELLED, Event.TURN_CANCELLED)
        self._flusher.add(turn)
