"""Log events that come again and again while something is away: said at once, and then once in a while."""

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
    """A structlog processor: of each of these events lines_max lines in interval_s seconds at the most.

    What was left out is counted in the next line, as `left_out`. From any thread.
    """

    def __init__(self, events: Collection[str], interval_s: float, clock: Clock, *, lines_max: int = 1) -> None:
        self._events = frozenset(events)
        self._interval_s = interval_s
        self._clock = clock
        self._lines_max = lines_max
        self._said: dict[str, _Said] = {}
        # Whatever is freed while a line is made may say something itself, in the same thread.
        self._lock = threading.RLock()

    def __call__(self, _logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        """Raises structlog.DropEvent for what is left out."""
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
