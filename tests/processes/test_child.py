"""Children end with their parent, in the order that the parent decides, and say how they ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from argosy.errors import UnavailableError
from argosy.local import guard
from argosy.local.child import Child
from tests.processes.killing import started, survivors
from tests.processes.parent import DEAF, FOREVER

PYTHON = sys.executable
POLITE = "import signal, sys; signal.signal(15, lambda *_: sys.exit(3)); print('up', flush=True); signal.pause()"


def guarded(code: str, log: Path, grace_s: float = 5) -> Child:
    return Child.start_guarded("program", [PYTHON, "-c", code], grace_s=grace_s, log_path=log)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
def test_a_guard_ends_with_the_exit_code_of_its_program(tmp_path: Path, code: str, expected: int) -> None:
    child = guarded(code, tmp_path / "log")

    assert child.wait(20) == expected
    assert child.poll() == expected


def test_a_program_that_cannot_be_started_says_so_and_ends_with_127(tmp_path: Path) -> None:
    log = tmp_path / "log"

    child = Child.start_guarded("nothing", ["/nonexistent/program"], log_path=log)

    assert child.wait(20) == 127
    assert "cannot start /nonexistent/program" in log.read_text()


def test_a_program_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    with started("child", tmp_path) as parent:
        assert len(parent.wait_ready()["family"]) == 2

        parent.kill()

        assert parent.survivors(within_s=5) == []


def test_a_program_that_ignores_being_asked_is_killed_after_its_grace(tmp_path: Path) -> None:
    with started("deaf", tmp_path) as parent:
        parent.wait_ready()

        parent.kill()

        assert parent.survivors(within_s=5) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells a program of its guard's death on Linux only")
def test_a_program_ends_when_parent_and_guard_are_killed_together(tmp_path: Path) -> None:
    with started("child", tmp_path) as parent:
        said = parent.wait_ready()

        parent.kill()
        psutil.Process(said["guard"]).kill()

        assert parent.survivors(within_s=5) == []


def test_what_a_killed_guard_leaves_is_killed_when_the_parent_notices(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = guarded(DEAF, log)
    child.wait_until(lambda: "up" in log.read_text(), 20)
    program = psutil.Process(child.program_pid)

    os.kill(child.pid, signal.SIGKILL)

    assert child.wait(10) == -signal.SIGKILL
    assert survivors([program], within_s=5) == []


def test_stop_asks_first_and_kills_when_nobody_listens(tmp_path: Path) -> None:
    polite, deaf = tmp_path / "polite", tmp_path / "deaf"
    first, second = guarded(POLITE, polite), guarded(DEAF, deaf, grace_s=0.2)
    for child, log in ((first, polite), (second, deaf)):
        child.wait_until(lambda log=log: "up" in log.read_text(), 20)  # type: ignore[misc]

    assert first.stop(10) == 3
    assert second.stop(10) == 137
    assert second.stop(10) == 137


def test_ctrl_c_in_the_terminal_reaches_the_parent_alone(tmp_path: Path) -> None:
    child = guarded(FOREVER, tmp_path / "log")

    assert os.getpgid(child.pid) == child.pid != os.getpgrp()

    child.stop(10)


def test_a_program_has_neither_our_pipe_nor_our_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"

    child = guarded("import os; print([fd for fd in range(64) if fd > 2 and os.path.exists(f'/dev/fd/{fd}')])", log)

    assert child.wait(20) == 0
    assert log.read_text().strip() in ("[]", "[3]")  # 3: what looked


def test_a_child_that_is_not_ready_shows_the_end_of_its_log(tmp_path: Path) -> None:
    ending = guarded("raise SystemExit('no such disk')", tmp_path / "ending")
    silent = guarded(FOREVER, tmp_path / "silent")

    with pytest.raises(UnavailableError, match=r"ended with exit code 1.*\n.*no such disk"):
        ending.wait_until(lambda: False, 20)
    with pytest.raises(UnavailableError, match=r"not ready after 0\.1 s"):
        silent.wait_until(lambda: False, 0.1)

    silent.stop(10)


def test_a_child_of_our_own_is_told_once_and_ends_hard_when_it_hangs(tmp_path: Path) -> None:
    with started("own", tmp_path) as parent:
        parent.wait_ready()

        parent.kill()

        assert parent.survivors(within_s=10) == []
        assert (tmp_path / "told").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_guard_is_small(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = guarded(FOREVER, log)
    child.wait_until(lambda: "up" in log.read_text(), 20)

    resident_bytes = psutil.Process(child.pid).memory_info().rss
    child.stop(10)

    assert resident_bytes < 12 * 1024 * 1024


def test_the_guard_imports_nothing_of_argosy() -> None:
    code = f"import runpy, sys; runpy.run_path({guard.__file__!r}, run_name='guard'); print(*sys.modules)"

    shown = subprocess.run([PYTHON, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=20)

    assert not {"argosy", "subprocess", "asyncio", "threading"} & set(shown.stdout.split())
