"""Run one foreign program that ends when the guard's parent does: python guard.py FD SIGNAL GRACE_S UID GID COMMAND…

A foreign program cannot watch the pipe from Argosy, so the guard does. When the pipe FD closes (the parent ended, even
by kill -9), or when the guard is told to end (SIGTERM, SIGINT, SIGHUP), the guard sends SIGNAL to the program and,
GRACE_S seconds later, SIGKILL. The guard ends with the program's exit code, or 128 + n when signal n ended the program.

The guard is run by path with `-I -S` and imports little: it starts in 30 ms and stays below 12 MB. The program runs as
UID and GID, unless they are -1; the guard keeps its own rights, so that it can signal the program. If the guard itself
is killed -9, Linux sends SIGNAL to the program; on other systems Argosy finds the program by the process group, which
it shares with the guard.
"""

import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HANDLED_SIGNALS = (*_STOP_SIGNALS, signal.SIGCHLD, signal.SIGALRM)


def _become_program(guard_pid: int, stop_signal: int, uid: int, gid: int, command: list[str]) -> None:
    """In the forked child: drop rights, ask Linux for a signal when the guard dies, and become the program."""
    for number in (*_HANDLED_SIGNALS, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.chdir("/")
    is_linux = sys.platform == "linux"
    if is_linux:
        import ctypes  # in the child, to keep the guard small; before setuid, after which it may not be readable

        libc = ctypes.CDLL(None)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if is_linux:
        libc.prctl(_PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)  # after setuid, which clears it
        if os.getppid() != guard_pid:  # the guard died before prctl
            os._exit(128 + signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606


def _wait(program_pid: int, parent_fd: int, wakeup_fd: int, stop_signal: int, grace_s: float) -> int:
    """Wait for the program, and stop it when the parent is gone or a signal asks for it; return its wait status."""
    watched = [parent_fd, wakeup_fd]
    is_stopping = False
    while True:
        ended_pid, status = os.waitpid(program_pid, os.WNOHANG)
        if ended_pid:
            return status
        readable = select.select(watched, [], [])[0]
        received = os.read(wakeup_fd, 64) if wakeup_fd in readable else b""
        is_told = any(number in received for number in _STOP_SIGNALS)
        if parent_fd in readable and not os.read(parent_fd, 64):
            watched.remove(parent_fd)
            is_told = True
        if is_told and not is_stopping:
            is_stopping = True
            signal.setitimer(signal.ITIMER_REAL, max(grace_s, 0.001))
            os.kill(program_pid, stop_signal)
        if signal.SIGALRM in received:
            os.kill(program_pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run the program, and return the guard's exit code."""
    parent_fd, stop_signal, grace_s = int(arguments[0]), int(arguments[1]), float(arguments[2])
    uid, gid, command = int(arguments[3]), int(arguments[4]), arguments[5:]
    wakeup_fd, wakeup_write_fd = os.pipe()
    for fd in (parent_fd, wakeup_fd, wakeup_write_fd):
        os.set_blocking(fd, False)
        os.set_inheritable(fd, False)
    signal.set_wakeup_fd(wakeup_write_fd, warn_on_full_buffer=False)
    for number in _HANDLED_SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    guard_pid = os.getpid()
    program_pid = os.fork()
    if program_pid == 0:
        try:
            _become_program(guard_pid, stop_signal, uid, gid, command)
        except BaseException as error:
            os.write(2, f"cannot start {command[0]}: {error!r}\n".encode())
        finally:
            os._exit(127)
    status = _wait(program_pid, parent_fd, wakeup_fd, stop_signal, grace_s)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # there is nothing to clean up or to wait for
