"""The wish that a process ends is heard, whenever it comes."""

import subprocess
import sys
import threading
import time
from typing import Final

from argosy.process.stopping import Stopping

# Ctrl-C comes while the nth line of what `wait` enters runs, for every n.
_INTERRUPTED: Final = """
import os, signal, sys
from argosy.process.stopping import Stopping

lines = 0

def interrupt_at(nth):
    def trace(frame, event, argument):
        global lines
        if event == "line":
            lines += 1
            if lines == nth:
                os.kill(os.getpid(), signal.SIGINT)
        return trace
    return trace

for nth in range(1, 31):
    stopping, lines = Stopping.on_signals(), 0
    sys.settrace(interrupt_at(nth))
    while not stopping.wait(0.001):
        pass
    sys.settrace(None)
    print(nth, flush=True)
"""


def test_a_signal_is_heard_at_every_line_of_a_wait() -> None:
    process = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, timeout=20, check=False
    )

    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.split() == [str(nth) for nth in range(1, 31)]


def test_another_thread_ends_a_wait() -> None:
    stopping = Stopping()
    threading.Timer(0.05, stopping.set).start()
    began_s = time.monotonic()

    assert not stopping.is_set()
    assert stopping.wait(30)
    assert (stopping.is_set(), stopping.wait(30)) == (True, True)
    assert time.monotonic() - began_s < 15


def test_a_wait_without_news_ends_in_time() -> None:
    assert not Stopping().wait(0.01)
