"""A process that Argosy starts, and that ends with it however it ends."""

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
_READY_POLL_S: Final = 0.02
_LOG_TAIL_SIZE_BYTES: Final = 4_000
PARENT_FD_OPTION: Final = "--parent-fd"


class Account(NamedTuple):
    """The unprivileged user that a program runs as."""

    uid: int
    gid: int


def _private(log_path: Path) -> IO[bytes]:
    """For appending, and for us alone, also when an older version left it readable: programs quote what they hear."""
    log_fd = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.fchmod(log_fd, 0o600)
    return os.fdopen(log_fd, "ab")


class Child:
    """One process, in a session of its own: Ctrl-C in our terminal reaches us alone, and we decide who ends when.

    Not started by its constructor. Methods block; each wait is bounded. Safe to call from one thread at a time.
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
        """Start a process of Argosy's own. `--parent-fd N` is appended: it watches N (argosy/process/parent.py).

        environment: None inherits ours. log_path: output is appended there; None inherits ours.
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

        stop_signal asks the program to end; SIGKILL follows grace_s seconds later. account: needs root.
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
        fork.own_fd(write_fd)  # a child of a fork that held it would keep our child alive after us
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
        """Of the process that we started: the guard's, for a foreign program."""
        return self._process.pid

    @property
    def program_pid(self) -> int:
        """Of the foreign program behind the guard. Raises UnavailableError when it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.poll() is not None:
                raise UnavailableError(f"{self.name} has ended")
            for process in psutil.Process(self.pid).children():
                return int(process.pid)
        raise UnavailableError(f"{self.name} is not running")

    def poll(self) -> int | None:
        """The exit code, or None while it runs. A program whose guard was killed is killed too."""
        code = self._process.poll()
        if code is not None:
            self._bury(code)
        return code

    def wait(self, within_s: float) -> int | None:
        """The exit code, or None when it still runs after within_s seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, within_s))
        return self.poll()

    def wait_until(self, is_ready: Callable[[], bool], within_s: float) -> None:
        """Return when is_ready() holds. Raises UnavailableError and shows the end of its log, if it ends or lingers."""
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + within_s
        while not is_ready():
            if (code := self.wait(_READY_POLL_S)) is not None:
                raise UnavailableError(f"{self.name} ended with exit code {code}{self.log_tail()}")
            if clock.monotonic_s() > deadline_s:
                raise UnavailableError(f"{self.name} is not ready after {within_s:g} s{self.log_tail()}")

    def terminate(self) -> None:
        """Ask it to end (SIGTERM) and return at once."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, within_s: float) -> int:
        """Ask it to end, kill it when it has not after within_s seconds; its exit code. Safe to repeat."""
        self.terminate()
        if (code := self.wait(within_s)) is not None:
            return code
        return self.kill()

    def kill(self) -> int:
        """kill -9 of the process and of its whole group, at once."""
        if self._process.poll() is None:
            self._kill_group()
        code = self._process.wait()
        self._bury(code)
        return code

    def log_tail(self) -> str:
        """The end of its log for an error message; empty when it has none."""
        if self.log_path is None or not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - _LOG_TAIL_SIZE_BYTES))
            return f"; the end of {self.log_path}:\n{log.read().decode(errors='replace')}"

    def _bury(self, code: int) -> None:
        """Close the pipe once; what a killed process left in its group is killed."""
        if self._pipe_fd >= 0:
            fork.disown_fd(self._pipe_fd)
            os.close(self._pipe_fd)
            self._pipe_fd = -1
            if code < 0:
                self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
