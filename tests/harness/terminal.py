"""Commands as a person sees them: in a terminal of their own."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def lines_shown(shown: str) -> list[str]:
    """Return each line as it stood there at some time: what was written between two moves to another line or to its
    beginning.
    """
    return [_CONTROL.sub("", line) for line in re.split(r"[\r\n]|\x1b\[\d*[ABGH]", shown)]


def to_its_end(
    command: list[str],
    environment: dict[str, str],
    *,
    columns: int,
    meanwhile: Sequence[tuple[str, Callable[[], object]]] = (),
    within_s: float,
) -> tuple[int, str]:
    """Run a command in a terminal of its own to its end. meanwhile: what is done, in this order, each as soon as a text
    is shown, behind the one before.
    """
    process, ours = _started(command, environment, columns)
    shown, seen, left = b"", 0, list(meanwhile)
    doing: list[threading.Thread] = []
    deadline_s = time.monotonic() + within_s
    try:
        while time.monotonic() < deadline_s:
            if select.select([ours], [], [], 0.5)[0]:
                try:
                    shown += os.read(ours, 65_536)
                except OSError:  # it has ended, and its terminal with it
                    break
            is_free = not doing or not doing[-1].is_alive()
            if left and is_free and (at := shown.find(left[0][0].encode(), seen)) >= 0:
                _, work = left.pop(0)
                seen = at + 1
                doing.append(threading.Thread(target=work))
                doing[-1].start()  # while it works, what is shown is read on
        for each in doing:
            each.join()
        assert not left, f"never shown: {left[0][0]!r}\n{shown[-2_000:]!r}"
        return process.wait(10), shown.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _started(command: list[str], environment: dict[str, str], columns: int) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=environment | {"TERM": "xterm"},
        # As a terminal's shell has it: who runs the tests in the background may ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    return process, ours


def in_terminal(command: list[str], environment: dict[str, str], *, until: str, times: int) -> tuple[int, str]:
    """Run a command in a terminal of its own until it has shown a text so many times, and press Ctrl-C."""
    process, ours = _started(command, environment, 200)
    shown = b""
    deadline_s = time.monotonic() + 20
    try:
        while shown.count(until.encode()) < times and time.monotonic() < deadline_s:
            if select.select([ours], [], [], 0.5)[0]:
                try:
                    shown += os.read(ours, 65_536)
                except OSError:  # it has ended, and its terminal with it
                    break
        process.send_signal(signal.SIGINT)
        return process.wait(10), shown.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
