"""Turns that may be what kills workers run one at a time, with nobody else's code in the process."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from argosy.workers.dispatch.turn import Turn

# A long step of somebody else must not hold up the suspect for ever, nor a suspect that behaves everybody else.
_WAIT_S = 15.0
_PROBATION_S = 5.0


class Alone:
    """begin(turn) is called when a turn that was not admitted may run; on_over when others may start again."""

    def __init__(self, *, begin: Callable[[Turn], None], on_over: Callable[[], None]) -> None:
        self._begin = begin
        self._on_over = on_over
        self._waiting: deque[Turn] = deque()
        self._current: Turn | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_wanted(self) -> bool:
        """Somebody runs alone, or waits to: nobody else may start."""
        return self._current is not None or bool(self._waiting)

    def is_admitted(self, turn: Turn) -> bool:
        return self._current is turn

    def admit(self, turn: Turn, running: Collection[Turn]) -> bool:
        """Whether the turn, which is one of the running, may begin now. If not it is begun later."""
        if self._current is turn:
            return True
        self._waiting.append(turn)
        if self._current is None:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_WAIT_S, self._next)
            self.left(running)
        return False

    def left(self, running: Collection[Turn]) -> None:
        """Turns have left the process; these still run."""
        if self._current is not None and self._current not in running:
            self._over()
        self._waiting = deque(turn for turn in self._waiting if turn in running)
        if self._waiting and self._current is None and len(running) == len(self._waiting):
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        self._restart_timer(_PROBATION_S, self._over)
        self._current = self._waiting.popleft()
        self._begin(self._current)

    def _over(self) -> None:
        """It is gone, or has behaved for long enough."""
        self._current = None
        if self._waiting:
            self._restart_timer(_WAIT_S, self._next)
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_over()

    def _restart_timer(self, delay_s: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, then)
