"""Fills memory with the vectors of large graphs, beside the searches that found it behind.

Rules:
- One thread for all graphs, which lives while something is to be filled. It takes a part of one index at a time and
  holds what it reads with only for that long, so a search of the same index waits for a part at the most.
- Between parts it rests for a quarter of what the part took.
- What is filled is asked for again by the next search, if it has to be: nothing is lost when it ends early.
"""

import threading
import time
from collections import OrderedDict
from typing import Final, Protocol

import structlog

from argosy import telemetry
from argosy.errors import ArgosyError
from argosy.shards.engine import Interrupt

log = structlog.get_logger()

_REST: Final = 0.25  # of the time that a part took: searches come between
_END_S: Final = 5.0  # more than a part takes


class Filled(Protocol):
    """The vectors of one graph, by name."""

    def fill(self, name: str, interrupt: Interrupt) -> bool:
        """Take one part into memory. Returns whether there is more to take."""


class Filler:
    """Fills memory with vectors, in a thread of its own. Used by any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[tuple[Filled, str], None] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def is_busy(self) -> bool:
        return self._thread is not None

    def ask(self, filled: Filled, name: str) -> None:
        """Ask for the vectors of this name to be filled in, when it is their turn."""
        with self._lock:
            if self._stop.is_set():
                return
            self._waiting[filled, name] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shard-fill", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End, in bounded time."""
        with self._lock:
            self._stop.set()
            self._waiting.clear()
            thread = self._thread
        if thread is not None:
            thread.join(_END_S)

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            began_s = time.perf_counter()
            try:
                has_more = asked[0].fill(asked[1], self._stop.is_set)
            except ArgosyError:  # the graph was dropped, or this stops
                has_more = False
            except Exception as error:
                log.warning(telemetry.SHARD_VECTORS_UNFILLED, error=f"{type(error).__name__}: {error}")
                has_more = False
            if not has_more:
                with self._lock:
                    self._waiting.pop(asked, None)
            self._stop.wait((time.perf_counter() - began_s) * _REST)

    def _next(self) -> tuple[Filled, str] | None:
        """Return whose turn it is; None: the thread ends."""
        with self._lock:
            if not self._waiting:
                self._thread = None
                return None
            asked = next(iter(self._waiting))
            self._waiting.move_to_end(asked)
            return asked
