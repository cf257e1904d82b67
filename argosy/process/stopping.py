"""The wish that this process ends, for code that blocks."""

import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Self

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Whether this process is to end. A signal's handler may set it, and so may any thread; one thread waits.

    A threading.Event cannot be set by a handler: when the signal interrupts `wait` while that holds the event's lock,
    the handler waits for the lock for ever. A SimpleQueue has no such lock.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wakes: SimpleQueue[None] = SimpleQueue()

    @classmethod
    def on_signals(cls) -> Self:
        """Return one that SIGTERM and SIGINT (Ctrl-C) set."""
        stopping = cls()
        for number in _SIGNALS:
            signal.signal(number, lambda *_: stopping.set())
        return stopping

    def set(self) -> None:
        self._is_set = True
        self._wakes.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Return whether it is set, now or within timeout_s seconds."""
        if not self._is_set:
            with suppress(Empty):
                self._wakes.get(timeout=timeout_s)
        return self._is_set
