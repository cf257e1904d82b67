"""Cancels of turns whose code has begun: when the code hears of one, and when there is no more time for it.

Rules:
- The row of a cancel stays due until its turn has ended: whoever has the turn next finds it. What the code was told is
  in history (turn.cancelling), and until when it may clean up, so that holds over crashes and hand-overs.
- A turn that waits for a slot hears of its cancel when it has one, before others of its tenant have one. After
  CANCEL_CLEANUP_S without one it ends without its code, so that a cancel always ends a turn.
- A turn in clean-up is not suspended. What is not done after CANCEL_CLEANUP_S is cut off, and said.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from argosy import telemetry
from argosy.turn.events import Cancelling
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.keys import CANCEL

log = structlog.get_logger()

_LONG: Final = "took longer than CANCEL_CLEANUP_S={:g}"
REASON: Final = "cancelling"  # of a running turn: what its row says


_decode: Final = msgspec.json.Decoder(Cancelling).decode


class Cancels:
    """may_start(): whether anybody is given a slot now; is_here(turn): whether memory holds it; end(turn): of which
    nothing runs; stop(turn): end its task.
    """

    def __init__(
        self,
        cleanup_s: float,
        database_time_s: Callable[[], float],
        *,
        may_start: Callable[[], bool],
        is_here: Callable[[Turn], bool],
        end: Callable[[Turn], None],
        stop: Callable[[Turn], None],
    ) -> None:
        self._cleanup_s = cleanup_s
        self._database_time_s = database_time_s
        self._may_start = may_start
        self._is_here = is_here
        self._end = end
        self._stop = stop
        self._timers: dict[Turn, asyncio.TimerHandle] = {}

    def take(self, turn: Turn) -> None:
        """A turn is cancelled that runs, or waits for its slot."""
        if turn.journal is not None:
            self.tell(turn)
        elif turn not in self._timers:
            self._arm(turn, self._cleanup_s)

    def tell(self, turn: Turn) -> bool:
        """Tell the code of a turn that runs, or is about to. False: the time that it had to clean up is over."""
        now_s = self._database_time_s()
        if turn.cancel_until_s is None:
            found = turn.journal.replay.recorded(CANCEL)
            turn.reason = REASON
            turn.cancel_until_s = now_s + self._cleanup_s if found is None else _decode(found.data).until.timestamp()
            if found is None:
                until = datetime.fromtimestamp(turn.cancel_until_s, UTC)
                turn.journal.cancel(msgspec.json.encode(Cancelling(until)))
        left_s = turn.cancel_until_s - now_s
        if left_s <= 0:
            self.cut_off(turn, _LONG.format(self._cleanup_s))
            return False
        self._arm(turn, left_s)
        return True

    def settled(self, turn: Turn) -> None:
        """It has ended, or rests: then its cancel is looked at again."""
        self._disarm(turn)
        if turn.cancel_id is not None and not turn.has_ended:
            turn.deferred.append(turn.cancel_id)

    def cut_off(self, turn: Turn, why: str) -> None:
        """A turn in clean-up ends now."""
        if turn.stop is not None or turn.has_ended:
            return
        log.warning(telemetry.CLEANUP_CUT_OFF, turn_id=str(turn.turn_id), workflow=turn.workflow, why=why)
        telemetry.CLEANUPS.labels(outcome="cut_off").inc()
        turn.error = msgspec.json.encode({"type": "CleanupCutOff", "message": f"its clean-up {why}"})
        if turn.execution is None:
            self._end(turn)
        else:
            self._stop(turn)

    def _disarm(self, turn: Turn) -> None:
        if (timer := self._timers.pop(turn, None)) is not None:
            timer.cancel()

    def _arm(self, turn: Turn, delay_s: float) -> None:
        self._disarm(turn)
        self._timers[turn] = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._is_late, turn)

    def _is_late(self, turn: Turn) -> None:
        del self._timers[turn]
        if turn.has_ended or not turn.is_live or turn.owned.is_closing or not self._is_here(turn):
            return  # whoever has it next finds its cancel
        if turn.journal is not None:
            self.cut_off(turn, _LONG.format(self._cleanup_s))
        elif self._may_start():
            self._end(turn)
        else:
            self._arm(turn, self._cleanup_s)
