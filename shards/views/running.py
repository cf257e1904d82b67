"""The queries that a child runs, each in a thread of its own. One that runs long yields to all others on the machine.

What a query costs cannot be told from its text, so the short ones are served first: after _LONG_S a query's thread has
the lowest priority. A thread cannot get its priority back, so none is used twice.
"""

import os
import sys
from collections.abc import Callable
from threading import Condition, Thread, get_native_id
from time import monotonic
from typing import Final

_LONG_S: Final = 0.05  # a lookup and what is around it are over by then
_LOWEST: Final = 19  # of nice(2)


class Running:
    """Runs queries at once; who calls bounds how many."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._begun_s: dict[int, float] = {}  # of threads, by the kernel's number, that have their priority
        if sys.platform == "linux":  # elsewhere only whole processes have one
            Thread(target=self._lower, daemon=True).start()

    def start(self, work: Callable[[], None]) -> None:
        Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        thread_id = get_native_id()
        with self._changed:
            self._begun_s[thread_id] = monotonic()
            self._changed.notify()
        try:
            work()
        finally:
            with self._changed:
                self._begun_s.pop(thread_id, None)

    def _lower(self) -> None:
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._begun_s)
                first_id = min(self._begun_s, key=self._begun_s.__getitem__)
                if (left_s := self._begun_s[first_id] + _LONG_S - monotonic()) > 0:
                    self._changed.wait(left_s)
                    continue
                # Its thread cannot end before it has had this lock: the number is still its own.
                os.setpriority(os.PRIO_PROCESS, first_id, _LOWEST)
                del self._begun_s[first_id]
