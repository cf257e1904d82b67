"""Measure how late the event loop is, and end a process whose loop is stuck: code that blocks it blocks all turns."""

import faulthandler
import os
import sys
import threading

import structlog

from argosy import telemetry
from argosy.clock import Clock

log = structlog.get_logger()

_LOOK_S = 0.5  # well within _WARN_S
_WARN_S = 1.0  # gateways expect a sign of life each second
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


class LoopMonitor:
    """A monitor of one event loop. `run`, on the loop, notes twice a second that it got its turn.

    From `guard` on, a thread ends the process, with all stacks on stderr, when the loop has been stuck for longer than
    stuck_s: other workers take over what it owned.
    """

    def __init__(self, clock: Clock, stuck_s: float) -> None:
        self._clock = clock
        self._stuck_s = stuck_s
        self._looked_at_s = clock.monotonic_s()

    @property
    def late_s(self) -> float:
        """How late the loop is with its next note, in seconds. From any thread, also while the loop is stuck."""
        return max(0.0, self._clock.monotonic_s() - self._looked_at_s - _LOOK_S)

    def guard(self) -> None:
        threading.Thread(target=self._guard, name="loop-monitor", daemon=True).start()

    def _guard(self) -> None:
        wake = threading.Event()
        seen_s = self._clock.monotonic_s()
        while True:
            wake.wait(_LOOK_S)
            # When this thread, too, was late, the whole process was stopped (SIGSTOP, a suspended machine): the loop
            # was not stuck.
            now_s, before_s = self._clock.monotonic_s(), seen_s
            seen_s = now_s
            if now_s - before_s > 4 * _LOOK_S:
                self._looked_at_s = now_s
            elif self.late_s > self._stuck_s:
                log.error(telemetry.LOOP_STUCK, late_s=round(self.late_s, 1), bound_s=self._stuck_s)
                faulthandler.dump_traceback(sys.stderr)
                os._exit(EXIT_CODE)

    async def run(self) -> None:
        while True:
            self._looked_at_s = self._clock.monotonic_s()
            await self._clock.sleep(_LOOK_S)
            late_s = self.late_s
            telemetry.LOOP_LAG_S.set(late_s)
            if late_s > _WARN_S:
                log.warning(telemetry.LOOP_BLOCKED, late_s=round(late_s, 2))
