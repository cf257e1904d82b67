"""Ends this process in time, whatever threads and exit handlers of user code do."""

import atexit
import sys
import threading
import traceback
from typing import Any, Final, NoReturn

from argosy.process.exiting import end_now

BROKEN_CODE: Final = 3  # exit code of a worker: a workflow cannot be loaded
END_S: Final = 3.0  # time for exit handlers of users; the processes that stop this one wait longer


def end_within(bound_s: float, code: int) -> None:
    """Make this process end within bound_s seconds: if it has not ended by then, it ends with this exit code. Call it
    when nothing of Argosy's own is left to do.
    """

    def cut() -> None:
        threading.Event().wait(bound_s)
        end_now(code)

    threading.Thread(target=cut, name="end", daemon=True).start()


def leave(code: int) -> NoReturn:
    """End this process with this exit code. Wait for threads that are no daemons and run exit handlers, for END_S
    seconds altogether. The interpreter's own finalization is left out, because threads of user code that still run
    could crash in it.
    """
    end_within(END_S, code)
    for farewell in (_private(threading, "_shutdown"), _private(atexit, "_run_exitfuncs")):
        try:
            farewell()
        except BaseException:  # raised by a user's exit handler
            traceback.print_exc()
    end_now(code)


def _private(module: Any, name: str) -> Any:
    return getattr(module, name, lambda: None)


def code_in_flight() -> int:
    """Return the exit code of this process at the end of its main block: 1 while an exception is handled, else 0."""
    return 0 if sys.exception() is None else 1
