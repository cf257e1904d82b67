"""How late the event loop is: user code that blocks it blocks everybody's turns."""

import structlog

from argosy import telemetry
from argosy.clock import Clock

log = structlog.get_logger()

_LOOK_S = 0.5
_WARN_S = 1.0


class LoopWatch:
    """`run` looks; `late_s` may be asked from any thread, also while the loop is stuck."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at_s = clock.monotonic_s()

    @property
    def late_s(self) -> float:
        """For how long the loop has owed a look."""
        return max(0.0, self._clock.monotonic_s() - self._looked_at_s - _LOOK_S)

    async def run(self) -> None:
        while True:
            self._looked_at_s = self._clock.monotonic_s()
            await self._clock.sleep(_LOOK_S)
            late_s = self.late_s
            telemetry.LOOP_LAG_S.set(late_s)
            if late_s > _WARN_S:
                log.warning(telemetry.LOOP_BLOCKED, late_s=round(late_s, 2))
