"""Real processes of a test: started by command line, known by pid, never left behind."""

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import IO, NamedTuple

import psutil

ARGOSY = Path(sys.executable).parent / "argosy"
ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 30.0


_PORTS = [range(first, first + 1_000) for first in range(20_000, 32_000, 1_000)]


@cache
def _own_ports() -> tuple[Iterator[int], IO[bytes] | None]:
    """Ports that no other run of tests on this machine uses, and the lock that says so until this process ends. One
    after the other: a process that is starting may not have bound the one that it was given last.
    """
    folder = Path(tempfile.gettempdir()) / f"argosy-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for ports in _PORTS:
        lock = (folder / str(ports.start)).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return cycle(ports), lock
    return cycle(random.choice(_PORTS)), None


def free_port() -> int:
    """A TCP port of loopback that nobody has, below the range from which connections take theirs. Whom it was given to
    last had it hundreds of ports ago.
    """
    ports, _ = _own_ports()
    while True:
        port = next(ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def two_free_ports() -> int:
    """The first of two that follow each other."""
    first, second = free_port(), free_port()
    while second != first + 1:
        first, second = second, free_port()
    return first


class Checkout(NamedTuple):
    """A version of Argosy: its command, and the PYTHONPATH from which it imports Argosy and the workflows of tests."""

    argosy: Path
    python_path: str


THIS = Checkout(ARGOSY, str(ROOT))


class NotReadyError(AssertionError):
    """A process ended or stayed silent; the message holds the end of its log."""


class Managed:
    """One process. Its output goes to a file; its standard input is a pipe that closes with the test."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        environment: dict[str, str],
        ready_url: str,
        log: Path,
        argosy: Path = ARGOSY,
    ) -> None:
        self.name = name
        self.log = log
        self.ready_url = ready_url
        self._output: IO[bytes] = log.open("ab")
        self.process = subprocess.Popen(
            [str(argosy), *arguments],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
        )
        self._family: dict[int, psutil.Process] = {}

    @property
    def pid(self) -> int:
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """The process and its descendants, those included that were seen once and whose parent is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.pid)
            for process in (top, *top.children(recursive=True)):
                self._family.setdefault(process.pid, process)
        return [process for process in self._family.values() if process.is_running() and not _is_zombie(process)]

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Returns when /readyz answers 200. Raises NotReadyError."""
        deadline = time.monotonic() + within_s
        seen = ""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NotReadyError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            try:
                with urllib.request.urlopen(self.ready_url, timeout=2) as answer:  # noqa: S310
                    if answer.status == 200:
                        self.family()
                        return
            except urllib.error.HTTPError as error:
                seen = f"{error.code}: {error.read()[:300]!r}"
            except OSError as error:
                seen = str(error)
            time.sleep(0.02)
        raise NotReadyError(f"{self.name} is not ready after {within_s} s ({seen}):\n{self.tail()}")

    def wait_said(self, words: str, within_s: float = READY_WITHIN_S) -> None:
        """Returns when it has printed these words. Raises NotReadyError."""
        deadline = time.monotonic() + within_s
        while words.encode() not in self.log.read_bytes():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} has not said {words!r}:\n{self.tail()}")
            time.sleep(0.02)

    def metric(self, name: str) -> float:
        """The sum over labels of one of its metrics, as /metrics has it now."""
        with urllib.request.urlopen(self.ready_url.replace("/readyz", "/metrics"), timeout=5) as answer:  # noqa: S310
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def kill(self) -> None:
        """kill -9 of this one process, and wait until the kernel has buried it."""
        self.family()
        self.process.kill()
        self.process.wait(10)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait_dead(self, within_s: float = 20.0) -> int:
        """Its return code. Raises NotReadyError when it lives on."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise NotReadyError(f"{self.name} still lives after {within_s} s:\n{self.tail()}") from None

    def terminate(self, within_s: float = 25.0) -> int:
        """SIGTERM and its return code."""
        self.family()
        self.process.terminate()
        return self.wait_dead(within_s)

    def tail(self, size_bytes: int = 6_000) -> str:
        self._output.flush()
        return f"--- {self.log.name}\n{self.log.read_bytes()[-size_bytes:].decode(errors='replace')}"

    def bury(self) -> list[int]:
        """End it and whatever it left. Returns the pids that had to be killed besides its own."""
        is_alive = self.process.poll() is None
        self.family()
        if is_alive:
            self.process.kill()
        self.process.wait(10)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._output.close()
        # Children end by themselves when their parent's pipe closes; what does not is a leak.
        deadline = time.monotonic() + 10
        while self.family() and time.monotonic() < deadline:
            time.sleep(0.02)
        left = self.family()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return [process.pid for process in left]


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def stopped(process: Managed) -> Iterator[None]:
    """SIGSTOP for as long as the block lasts."""
    process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(signal.SIGCONT)
