"""Parents that tests start, and what must be gone after them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

_PARENT = Path(__file__).with_name("parent.py")


def survivors(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Who still lives after within_s seconds. A zombie is dead: not every machine's init is quick to bury."""
    deadline_s = time.monotonic() + within_s
    while (left := [process for process in processes if _lives(process)]) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def python_for(uid: int) -> str | None:
    """A Python like ours that this user may run, with what it imports; None when this machine has none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        with contextlib.suppress(OSError):
            shown = subprocess.run(
                [python, "-c", "import argosy.local.broker, argosy.local.postgres"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                user=uid,
                group=uid,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                timeout=60,
            )
            if shown.returncode == 0:
                return python
    return None


class Parent:
    """A running tests/processes/parent.py. said: its JSON line."""

    def __init__(self, kind: str, folder: Path, uid: int | None = None, python: str = sys.executable) -> None:
        self.process = subprocess.Popen(
            [python, str(_PARENT), kind, str(folder)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            cwd="/",
        )

    def wait_ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        said: dict[str, Any] = json.loads(line)
        self.family = [psutil.Process(pid) for pid in said["family"]]
        return said

    def kill(self) -> None:
        """kill -9 of this one process."""
        self.process.kill()
        self.process.wait(10)

    def survivors(self, within_s: float) -> list[psutil.Process]:
        """Who of the family still lives after within_s seconds at the most."""
        return survivors(self.family, within_s)


@contextlib.contextmanager
def started(kind: str, folder: Path, uid: int | None = None, python: str = sys.executable) -> Iterator[Parent]:
    """A parent, ended with all its family whatever the test found."""
    parent = Parent(kind, folder, uid, python)
    try:
        yield parent
    finally:
        parent.kill()
        for process in survivors(getattr(parent, "family", []), within_s=30):
            process.kill()
        for stream in (parent.process.stdout, parent.process.stderr):
            if stream is not None:
                stream.close()
