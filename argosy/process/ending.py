"""The end of a process, whatever threads and exit handlers of user code do."""

import atexit
import sys
import threading
import traceback
from typing import Any, Final, NoReturn

from argosy.process.exiting import end_now

END_S: Final = 3.0  # exit handlers of users send their last words meanwhile; whoever stops us waits longer


def end_within(bound_s: float, code: int) -> None:
    """The process has nothing of its own left to do: bound_s from now it has ended, with this exit code at the latest
    then.
    """

    def cut() -> None:
        threading.Event().wait(bound_s)
        end_now(code)

    threading.Thread(target=cut, name="end", daemon=True).start()


def leave(code: int) -> NoReturn:
    """End with this exit code: threads that are no daemons are waited for and exit handlers run, END_S for all of them.
    The rest of what an interpreter does at its end is left out: threads of user code that go on could crash in it.
    """
    end_within(END_S, code)
    for farewell in (_private(threading, "_shutdown"), _private(atexit, "_run_exitfuncs")):
        try:
            farewell()
        except BaseException:  # of a user's exit handler
            traceback.print_exc()
    end_now(code)


def _private(module: Any, name: str) -> Any:
    return getattr(module, name, lambda: None)


def code_in_flight() -> int:
    """The exit code of a process that leaves the block that it lives in."""
    return 0 if sys.exception() is None else 1
