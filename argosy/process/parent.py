"""How a process of Argosy notices that the one that started it is gone."""

import os
import threading
from collections.abc import Callable
from typing import Final

EXIT_CODE_ABANDONED: Final = 75  # EX_TEMPFAIL: nothing is wrong with this process


def watch_parent(parent_fd: int, on_gone: Callable[[], None], grace_s: float) -> threading.Thread:
    """Call on_gone() once, from a thread, when the parent's pipe closes; grace_s later the process ends hard.

    on_gone asks for an orderly stop and returns at once (for asyncio: loop.call_soon_threadsafe). Whatever hangs then
    cannot keep the process alive: it is as dead as after kill -9, which everything here survives.
    """
    os.set_inheritable(parent_fd, False)  # a grandchild that held it would not be harmed, only misled

    def watch() -> None:
        while os.read(parent_fd, 64):
            pass
        try:
            on_gone()
        finally:
            threading.Event().wait(grace_s)
            os._exit(EXIT_CODE_ABANDONED)

    thread = threading.Thread(target=watch, name="watch-parent", daemon=True)
    thread.start()
    return thread
