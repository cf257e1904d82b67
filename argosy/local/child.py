"""A process that Argosy starts, and that ends when Argosy ends, however that happens."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

import psutil

from argosy.clock import SystemClock
from argosy.errors import UnavailableError
from argosy.process import fork

_GUARD: Final = Path(__file__).with_name("guard.py")
_READY_POLL_S: Final = 0.02  # a start is not held up by looks
_LOG_TAIL_SIZE_BYTES: Final = 4_000  # a screen of text
PARENT_FD_OPTION: Final = "--parent-fd"


class Account(NamedTuple):
    """The unprivileged user that a program runs as."""

    uid: int
    gid: int


def _private(log_path: Path) -> IO[bytes]:
    """Open a log for appending, and make it readable by this user alone, even if an older version made it readable by
    others: programs quote in their logs what they receive.
    """
    log_fd = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.fchmod(log_fd, 0o600)
    return os.fdopen(log_fd, "ab")


class Child:
    """A child process, in a process session of its own: Ctrl-C in the terminal reaches only the parent, which decides
    when each child ends.

    `start` and `start_guarded` make one. Methods block, each for a bounded time. One thread at a time may use it.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], pipe_fd: int, log_path: Path | None) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._pipe_fd = pipe_fd

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> "Child":
        """Start another Argosy process. `--parent-fd N` is appended to the command: the process watches the pipe N
        (argosy/process/parent.py).

        environment: None inherits this process's. log_path: output is appended there; None inherits stdout and stderr.
        """
        return cls._start(name, lambda fd: [*command, PARENT_FD_OPTION, str(fd)], environment, log_path)

    @classmethod
    def start_guarded(
        cls,
        name: str,
        command: Sequence[str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace_s: float = 20.0,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> "Child":
        """Start a foreign program behind a guard. command[0] is an absolute path; the program runs in `/`.

        stop_signal asks the program to end; SIGKILL follows grace_s seconds later. account: the user that the program
        runs as; only root can give one.
        """
        uid, gid = account or (-1, -1)
        guard = [sys.executable, "-I", "-S", str(_GUARD)]
        options = [str(int(stop_signal)), str(grace_s), str(uid), str(gid)]
        return cls._start(name, lambda fd: [*guard, str(fd), *options, *command], environment, log_path)

    @classmethod
    def _start(
        cls,
        name: str,
        make_command: Callable[[int], list[str]],
        environment: Mapping[str, str] | None,
        log_path: Path | None,
    ) -> "Child":
        read_fd, write_fd = os.pipe()
        fork.own_fd(write_fd)  # in a forked child it would keep this child alive after this process
        try:
            with contextlib.ExitStack() as files:
                output: IO[bytes] | None = files.enter_context(_private(log_path)) if log_path else None
                process = subprocess.Popen(
                    make_command(read_fd),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT if output else None,
                    env=environment,
                    pass_fds=(read_fd,),
                    start_new_session=True,
                )
        except BaseException:
            fork.disown_fd(write_fd)
            os.close(write_fd)
            raise
        finally:
            os.close(read_fd)
        return cls(name, process, write_fd, log_path)

    @property
    def pid(self) -> int:
        """The pid of the process that was started; for a foreign program that is its guard."""
        return self._process.pid

    @property
    def program_pid(self) -> int:
        """The pid of the foreign program behind the guard. Raises UnavailableError when it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.poll() is not None:
                raise UnavailableError(f"{self.name} has ended")
            for process in psutil.Process(self.pid).children():
                return int(process.pid)
        raise UnavailableError(f"{self.name} is not running")

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs. When its guard was killed, kill the program, too."""
        code = self._process.poll()
        if code is not None:
            self._bury(code)
        return code

    def wait(self, within_s: float) -> int | None:
        """Wait for the process to end; return its exit code, or None when it still runs after within_s seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, within_s))
        return self.poll()

    def wait_until(self, is_ready: Callable[[], bool], within_s: float) -> None:
        """Wait until is_ready() is true. Raises UnavailableError, with the end of the log, when the process ends first
        or within_s seconds have passed.
        """
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + within_s
        while not is_ready():
            if (code := self.wait(_READY_POLL_S)) is not None:
                raise UnavailableError(f"{self.name} ended with exit code {code}{self.log_tail()}")
            if clock.monotonic_s() > deadline_s:
                raise UnavailableError(f"{self.name} is not ready after {within_s:g} s{self.log_tail()}")

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM) and return at once."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, within_s: float) -> int:
        """Ask the process to end, kill it after within_s seconds, and return its exit code. Safe to repeat."""
        self.terminate()
        if (code := self.wait(within_s)) is not None:
            return code
        return self.kill()

    def kill(self) -> int:
        """Kill the process and its whole process group with SIGKILL; return its exit code."""
        if self._process.poll() is None:
            self._kill_group()
        code = self._process.wait()
        self._bury(code)
        return code

    def log_tail(self) -> str:
        """Return the end of the log, for an error message; empty when there is none."""
        if self.log_path is None or not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - _LOG_TAIL_SIZE_BYTES))
            return f"; the end of {self.log_path}:\n{log.read().decode(errors='replace')}"

    def _bury(self, code: int) -> None:
        """Close the pipe, once. When a signal has ended the process, kill what is left of its process group."""
        if self._pipe_fd >= 0:
            fork.disown_fd(self._pipe_fd)
            os.close(self._pipe_fd)
            self._pipe_fd = -1
            if code < 0:
                self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
