"""Limits how often repeated log events are printed: at once, and then only from time to time."""

import threading
from collections.abc import Collection
from typing import Any, NamedTuple

import structlog

from argosy.clock import Clock


class _Said(NamedTuple):
    at_s: float
    lines: int
    left_out: int


class Quiet:
    """A structlog processor that prints at most lines_max lines of each of these events in interval_s seconds.

    The next line of the event has the number of dropped lines as `left_out`. May be called from any thread.
    """

    def __init__(self, events: Collection[str], interval_s: float, clock: Clock, *, lines_max: int = 1) -> None:
        self._events = frozenset(events)
        self._interval_s = interval_s
        self._clock = clock
        self._lines_max = lines_max
        self._said: dict[str, _Said] = {}
        # Re-entrant: an object that is freed while this thread holds the lock may log an event itself.
        self._lock = threading.RLock()

    def __call__(self, _logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        """Return the event to print. Raises structlog.DropEvent when its line is to be dropped."""
        name = event.get("event")
        if name not in self._events:
            return event
        now_s = self._clock.monotonic_s()
        with self._lock:
            said = self._said.get(name)
            if said is not None and now_s - said.at_s < self._interval_s:
                if said.lines >= self._lines_max:
                    self._said[name] = said._replace(left_out=said.left_out + 1)
                    raise structlog.DropEvent
                self._said[name] = said._replace(lines=said.lines + 1)
                return event
            self._said[name] = _Said(now_s, 1, 0)
        if said is not None and said.left_out:
            event["left_out"] = said.left_out
        return event
