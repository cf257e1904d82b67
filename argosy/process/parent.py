"""Lets a process of Argosy notice that its parent, another process of Argosy, is gone."""

import os
import threading
from collections.abc import Callable
from typing import Final

EXIT_CODE_ABANDONED: Final = 75  # EX_TEMPFAIL: nothing is wrong with this process


def watch_parent(parent_fd: int, on_gone: Callable[[], None], grace_s: float) -> threading.Thread:
    """Call on_gone() once, from a thread, when the parent's pipe closes; grace_s seconds later end this process at
    once.

    on_gone asks for an orderly stop and must return at once (for asyncio: loop.call_soon_threadsafe). Code that hangs
    cannot keep the process alive: it ends as by kill -9, which loses nothing.
    """
    os.set_inheritable(parent_fd, False)  # it is not meant for processes that this one starts

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
