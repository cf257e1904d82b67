"""Crash points are off unless armed, and an armed one ends the process as kill -9 does."""

import signal
import subprocess
import sys

import pytest

from argosy import crash_points
from argosy.errors import SettingError


def _run(crash_at: str, body: str) -> int:
    code = f"from argosy import crash_points\ncrash_points.arm({crash_at!r})\n{body}"
    return subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode


def test_a_point_that_is_not_armed_lets_the_process_live() -> None:
    assert _run("", "crash_points.reach('after_poll')") == 0


def test_an_armed_point_ends_the_process_with_sigkill() -> None:
    assert _run("after_poll", "crash_points.reach('after_poll')") == -signal.SIGKILL


def test_other_points_are_passed() -> None:
    assert _run("after_poll", "crash_points.reach('after_flush')") == 0


def test_the_third_time_is_the_third_time() -> None:
    assert _run("after_flush:3", "crash_points.reach('after_flush')\ncrash_points.reach('after_flush')") == 0
    assert _run("after_flush:3", "for _ in range(3): crash_points.reach('after_flush')") == -signal.SIGKILL


@pytest.mark.parametrize("crash_at", ["nowhere", "after_poll:0", "after_poll:x", ":2"])
def test_a_point_that_does_not_exist_is_an_error_that_names_it(crash_at: str) -> None:
    with pytest.raises(SettingError, match="ARGOSY_CRASH_AT"):
        crash_points.arm(crash_at)
