"""Whether a shard is worth asking, from what came of the calls before. Pure: the time is a parameter.

Rules:
- closed: every call goes through. So many failures in a row, with no success between them, open it.
- open: no call goes through, until a pause is over. Then one goes through: the probe. Whoever asks for nothing but a
  sign of life need not wait for the pause: what it hears counts as a probe's.
- The probe's success closes it, its failure begins another pause. A probe that was given up (cancelled, or ended by
  something that says nothing about the shard) is no answer: the next call is the probe.
- A probe of which nothing was heard for probe_s counts as given up, whatever became of it: so no lost call can keep a
  shard from being asked.
- What comes of a call that began before the last change of state changes nothing: it tells of another time.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Pass(NamedTuple):
    """A call that may be made. Whoever has it tells the breaker once what came of it."""

    epoch: int


class Breaker:
    """The breaker of one shard. failures_max: 0: it never opens."""

    def __init__(self, failures_max: int, pause_s: float, probe_s: float) -> None:
        self._failures_max: Final = failures_max
        self._pause_s: Final = pause_s
        self._probe_s: Final = probe_s
        self._failures = 0
        self._epoch = 0  # grows with each change of state and with each probe
        self._until_s: float | None = None  # of the pause or of the probe; None: closed
        self.state = BreakerState.CLOSED

    def may_admit(self, now_s: float) -> bool:
        """Whether a call may be made then, if nothing happens until then."""
        return self._until_s is None or now_s >= self._until_s

    def admit(self, now_s: float) -> Pass | None:
        """Return a pass for a call, or None when it must not be made now."""
        if not self.may_admit(now_s):
            return None
        if self._until_s is not None:
            self._enter(BreakerState.HALF_OPEN, now_s + self._probe_s)
        return Pass(self._epoch)

    def admit_look(self, now_s: float) -> Pass:
        """Return a pass for a question that is made at any time, since nobody's work depends on its answer."""
        if self.state is BreakerState.OPEN or not self.may_admit(now_s):
            self._enter(BreakerState.HALF_OPEN, now_s + self._probe_s)
        return Pass(self._epoch)

    def succeeded(self, call: Pass) -> None:
        """The shard has answered, whatever it said."""
        if call.epoch == self._epoch:
            self._failures = 0
            if self.state is BreakerState.HALF_OPEN:
                self._enter(BreakerState.CLOSED, None)

    def failed(self, call: Pass, now_s: float) -> None:
        """The shard could not be asked, or has not answered."""
        if call.epoch != self._epoch:
            return
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN or 0 < self._failures_max <= self._failures:
            self._enter(BreakerState.OPEN, now_s + self._pause_s)

    def gave_up(self, call: Pass, now_s: float) -> None:
        """The call was cancelled, or ended with something that says nothing about the shard."""
        if call.epoch == self._epoch and self.state is BreakerState.HALF_OPEN:
            self._until_s = now_s

    def _enter(self, state: BreakerState, until_s: float | None) -> None:
        self.state = state
        self._until_s = until_s
        self._epoch += 1
        self._failures = 0
