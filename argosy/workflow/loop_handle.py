"""The handles and timers that a turn's loop returns for its callbacks, and the contract with the loop's host."""

from collections.abc import Callable
from contextvars import Context
from typing import Any, Final, Protocol


class Host(Protocol):
    """The driver, as the turn's loop and its timers need it."""

    def time_s(self) -> float:
        """Return the turn's time, the same in a replay."""
        ...

    def begin_timer(self, timer: "Timer", delay_s: float) -> None:
        """Call the loop's `fire` after delay_s seconds, unless the timer is cancelled."""
        ...

    def end_timer(self, timer: "Timer") -> None:
        """Note that the timer was cancelled."""
        ...

    def unhandled(self, context: dict[str, Any]) -> None:
        """Log an error that nothing awaits; context: as for loop.set_exception_handler."""
        ...


class _Nobody:
    """The host of a loop that has ended."""

    def time_s(self) -> float:
        return 0.0

    def begin_timer(self, timer: "Timer", delay_s: float) -> None: ...
    def end_timer(self, timer: "Timer") -> None: ...
    def unhandled(self, context: dict[str, Any]) -> None: ...


NOBODY: Final = _Nobody()


def _ran() -> None:
    """Stand in for the callback of a handle that has run."""


class Handle:
    """asyncio.Handle, as far as asyncio and users' code use it."""

    __slots__ = ("_args", "_callback", "_context", "_is_cancelled")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context) -> None:
        self._callback = callback
        self._args = args
        self._context = context
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def cancelled(self) -> bool:
        return self._is_cancelled

    def get_context(self) -> Context:
        return self._context

    def run(self) -> None:
        if not self._is_cancelled:
            self._context.run(self._callback, *self._args)
            # The traceback of an error that ended a task holds this frame, which must not hold the task.
            self._callback, self._args = _ran, ()


class Timer(Handle):
    """asyncio.TimerHandle. key: of the durable timer behind it."""

    __slots__ = ("_host", "_when_s", "key")

    def __init__(self, host: Host, when_s: float, callback: Callable[..., Any], args: Any, context: Context) -> None:
        super().__init__(callback, args, context)
        self._host = host
        self._when_s = when_s
        self.key = ""

    def when(self) -> float:
        return self._when_s

    def cancel(self) -> None:
        if not self._is_cancelled:
            self._is_cancelled = True
            self._host.end_timer(self)
