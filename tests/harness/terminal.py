"""Commands as a person sees them: in a terminal of their own."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time


def in_terminal(command: list[str], environment: dict[str, str], *, until: str, times: int) -> tuple[int, str]:
    """Run a command in a terminal of its own until it has shown a text so many times, and press Ctrl-C."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 50, 200, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
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
