"""How the blocking client waits."""

import threading


def rest(pause_s: float) -> None:
    """Wait; a thread that waits so can be interrupted by Ctrl-C."""
    if pause_s > 0:
        threading.Event().wait(pause_s)
